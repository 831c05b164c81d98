//! What a subscription stops at: messages that are set aside, deliveries that are not settled, time.

use brighter::channel::{Channel, ConsumerBounds, RejectionKind};
use brighter::dispatcher::{PerformerState, SubscriptionState};
use brighter::message::MessageBody;
use brighter::processor::BuildError;
use brighter_tests::scripted::{Came, Consume, Scripted, Settled};
use brighter_tests::wait::{until, until_eq};

use super::*;
use crate::log::Log;

fn nonsense(number: u32) -> Message {
    let mut message = message(&note(0, number));
    message.body = MessageBody::new("no note at all");
    message
}

async fn publish(broker: &InMemoryBroker, messages: impl IntoIterator<Item = Message>) {
    use brighter::channel::Producer;
    for message in messages {
        broker.publish(&message).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn unmappable_messages_reach_the_unacceptable_message_limit() {
    let (broker, clerk) = (InMemoryBroker::new(), Clerk::new(|_, _| Ok(())));
    broker.declare(&Channel::new("notes", "Note")).await.unwrap();
    publish(&broker, (0..5).map(nonsense)).await;
    let dispatcher = receiving(
        broker.clone(),
        clerk.clone(),
        notes().unacceptable_limit(3).buffer(1),
    );
    let mut changes = dispatcher.changes();
    while dispatcher.status()[0].state != SubscriptionState::LimitReached
        || dispatcher.status()[0].performers != [PerformerState::LimitReached]
    {
        changes.changed().await;
    }
    assert_eq!(broker.messages("notes.invalid").len(), 3);
    assert_eq!(
        broker.messages("notes").len(),
        2,
        "the others stay where they are"
    );
    assert!(!dispatcher.is_ready());
    // Starting it again begins a new count.
    dispatcher.stop("notes").await.unwrap();
    dispatcher.start("notes").unwrap();
    publish(&broker, [message(&note(1, 1))]).await;
    until_eq("it goes on", vec![(1, 1)], || clerk.done()).await;
    assert_eq!(broker.messages("notes.invalid").len(), 5);
    assert_eq!(dispatcher.status()[0].state, SubscriptionState::Running);
}

#[tokio::test(start_paused = true)]
async fn dead_letters_count_and_a_window_begins_a_new_count() {
    let (broker, clerk) = (InMemoryBroker::new(), Clerk::new(|_, _| Err("no".into())));
    let subscription = notes()
        .attempts(1)
        .unacceptable_limit(2)
        .unacceptable_window(60 * SECOND);
    let dispatcher = consuming(&broker, &clerk, subscription).await;
    for dead in 1..=3 {
        post(&dispatcher, [note(0, 0)]).await;
        until_eq("a dead letter", dead, || broker.messages("notes.dlq").len()).await;
        tokio::time::sleep(60 * SECOND).await;
        assert_eq!(dispatcher.status()[0].state, SubscriptionState::Running);
    }
    post(&dispatcher, [note(0, 0), note(0, 0), note(0, 0)]).await;
    until("the limit is reached", || {
        dispatcher.status()[0].state == SubscriptionState::LimitReached
    })
    .await;
    until_eq("the last one back", 1, || broker.messages("notes").len()).await;
    assert_eq!(broker.messages("notes.dlq").len(), 5);
}

#[tokio::test(start_paused = true)]
async fn the_unacceptable_message_limit_is_zero_then_nothing_trips_it() {
    let (broker, clerk) = (InMemoryBroker::new(), Clerk::new(|_, _| Ok(())));
    let dispatcher = consuming(&broker, &clerk, notes()).await;
    publish(&broker, (0..100).map(nonsense)).await;
    publish(&broker, [message(&note(1, 1))]).await;
    until_eq("the one that makes sense", vec![(1, 1)], || clerk.done()).await;
    assert_eq!(broker.messages("notes.invalid").len(), 100);
    assert_eq!(dispatcher.status()[0].state, SubscriptionState::Running);
}

#[tokio::test(start_paused = true)]
async fn messages_delivered_too_often_are_dead_lettered_unhandled() {
    let clerk = Clerk::new(|_, _| Ok(()));
    let (deadly, odd) = (message(&note(6, 6)), message(&note(1, 1)));
    let broker = Scripted::new([Consume::Gives(vec![
        Came::Again(deadly.clone(), 20),
        Came::Again(odd.clone(), 19),
    ])]);
    let _dispatcher = receiving(broker.clone(), clerk.clone(), notes());
    until_eq("both settled", 2, || broker.settled().len()).await;
    assert_eq!(clerk.asked(), [(1, 1)]);
    let [(first, Settled::Reject(rejection)), second] = &broker.settled()[..] else {
        panic!("{:?}", broker.settled())
    };
    assert_eq!(
        (first, rejection.kind),
        (&deadly.header.id, RejectionKind::DeadLetter)
    );
    assert!(rejection.reason.contains("delivered 20 times"), "{rejection:?}");
    assert_eq!(*second, (odd.header.id, Settled::Ack));
}

#[tokio::test(start_paused = true)]
async fn giving_back_never_wears_out_the_count_of_the_broker() {
    let clerk = Clerk::new(|_, _| Err(brighter::DontAck::because("not now").into()));
    let (new, old) = (message(&note(1, 1)), message(&note(2, 2)));
    let broker = Scripted::new([Consume::Gives(vec![
        Came::Message(new.clone()),
        Came::Again(old.clone(), 10),
    ])]);
    let _dispatcher = receiving(broker.clone(), clerk, notes());
    until_eq("both settled", 2, || broker.settled().len()).await;
    assert_eq!(
        broker.settled(),
        [
            (new.header.id, Settled::Release),
            (old.header.id, Settled::Requeue(SECOND, 0))
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_redelivered_messages_are_handled() {
    let clerk = Clerk::new(|note, _| match note.number {
        1 => Ok(()),
        _ => Err(brighter::DontAck::because("not now").into()),
    });
    let (old, older) = (message(&note(1, 1)), message(&note(2, 2)));
    let broker = Scripted::new([Consume::Gives(vec![
        Came::Again(old.clone(), 0),
        Came::Again(older.clone(), 1_000),
    ])]);
    let _dispatcher = receiving(broker.clone(), clerk, notes().redeliveries(0));
    until_eq("both settled", 2, || broker.settled().len()).await;
    assert_eq!(
        broker.settled(),
        [(old.header.id, Settled::Ack), (older.header.id, Settled::Release)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_handling_beyond_its_timeout_is_cancelled_and_counted() {
    let (broker, clerk) = (InMemoryBroker::new(), Clerk::gated(|_, _| Ok(())));
    let subscription = notes().timeout(7 * SECOND).attempts(2).delays([SECOND]);
    let dispatcher = consuming(&broker, &clerk, subscription).await;
    post(&dispatcher, [note(0, 0)]).await;
    until_eq("the dead letter", 1, || broker.messages("notes.dlq").len()).await;
    let reason = broker.messages("notes.dlq")[0]
        .header
        .bag
        .get("rejectionMessage")
        .cloned();
    assert_eq!(
        reason.unwrap().as_str(),
        Some("attempt 2 of 2: no result within 7s")
    );
    assert_eq!((clerk.asked().len(), clerk.now()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_hanging_handler_holds_its_performer_five_minutes() {
    let (broker, clerk) = (InMemoryBroker::new(), Clerk::gated(|_, _| Ok(())));
    let dispatcher = consuming(&broker, &clerk, notes()).await;
    post(&dispatcher, [note(0, 0), note(1, 1)]).await;
    until_eq("it hangs", 1, || clerk.asked().len()).await;
    tokio::time::sleep(300 * SECOND).await;
    until_eq("the next has its turn", 2, || clerk.asked().len()).await;
}

#[test]
fn build_compares_times_of_subscription_and_broker() {
    let processor = CommandProcessor::builder()
        .broker(Scripted::bounded(
            [],
            ConsumerBounds::new().settle_timeout(60 * SECOND),
        ))
        .handler(Clerk::new(|_, _| Ok(())))
        .build()
        .unwrap();
    let build = |subscription| {
        Dispatcher::builder(processor.clone())
            .subscription(subscription)
            .build()
    };
    let errors = build(notes().timeout(10 * SECOND)).unwrap_err();
    assert!(
        matches!(errors.iter().collect::<Vec<_>>()[..], [BuildError::Budget { .. }]),
        "{errors}"
    );
    assert!(
        errors.to_string().contains("may take 100s") && errors.to_string().contains("within 60s"),
        "{errors}"
    );
    assert!(build(notes().timeout(10 * SECOND).concurrency(2)).is_ok());
    assert!(
        build(notes().timeout(30 * SECOND).buffer(1)).is_err(),
        "the drain is shorter"
    );
    let dispatcher = build(notes()).unwrap();
    let added = Subscription::<Note>::new("other").ordered_by(|note: &Note| note.key);
    assert!(
        dispatcher
            .add(added)
            .unwrap_err()
            .to_string()
            .contains("may take 81s")
    );
}

#[tokio::test(start_paused = true)]
async fn every_failed_delivery_is_one_line_with_the_reason() {
    let log = Log::default();
    let _here = log.here();
    let clerk = Clerk::new(|note, _| match note.number {
        0 => Ok(()),
        1 => Err(brighter::DontAck::because("not now").into()),
        _ => Err("the printer is on fire".into()),
    });
    let [good, back, bad] = [0, 1, 2].map(|number| message(&note(1, number)));
    let mut again = bad.clone();
    again.header.handled_count = 1;
    let came = [good.clone(), bad.clone(), again, nonsense(3), back.clone()];
    let broker = Scripted::new([Consume::Gives(came.map(Came::Message).into())]);
    let subscription = notes().attempts(2).delays([7 * SECOND]);
    let _dispatcher = receiving(broker.clone(), clerk, subscription);
    until_eq("all settled", 5, || broker.settled().len()).await;
    let [good, back, bad] = [good, back, bad].map(|message| format!("id={}", message.header.id));
    let told: [&[&str]; 4] = [
        &["INFO", "message returned to its channel", "not now", &back],
        &[
            "WARN",
            "will be retried",
            "attempt=1",
            "printer is on fire",
            "delay=7s",
            &bad,
        ],
        &[
            "ERROR",
            "moved to the dead-letter channel",
            "attempt=2",
            "printer is on fire",
            "to=notes.dlq",
            &bad,
        ],
        &[
            "ERROR",
            "moved to the invalid-message channel",
            "to=notes.invalid",
        ],
    ];
    for parts in told {
        assert!(log.has_line(parts), "{parts:?} in {log:?}");
    }
    assert!(log.lines_with(&good).is_empty(), "{log:?}");
}
