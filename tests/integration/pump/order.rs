//! Order by key.

use std::collections::HashMap;

use brighter::channel::RejectionKind;
use brighter::processor::BuildError;
use brighter_tests::scripted::{Came, Consume, Scripted, Settled, Settling};
use brighter_tests::wait::until_eq;

use super::*;

fn ordered() -> Subscription<Note> {
    notes().ordered_by(|note: &Note| note.key).concurrency(16)
}

/// The numbers of each key, in the order in which they were done.
fn by_key(done: &[(u32, u32)]) -> HashMap<u32, Vec<u32>> {
    let mut keys = HashMap::<_, Vec<_>>::new();
    for (key, number) in done {
        keys.entry(*key).or_default().push(*number);
    }
    keys
}

#[tokio::test(start_paused = true)]
async fn the_order_of_each_key_holds_over_retries_and_restarts() {
    // One in twenty fails twice before it works.
    let clerk = Clerk::new(
        |note, attempt| match note.number % 20 == note.key && attempt < 3 {
            true => Err("not yet".into()),
            false => Ok(()),
        },
    );
    let broker = InMemoryBroker::new();
    let dispatcher = consuming(&broker, &clerk, ordered().delays([SECOND / 100])).await;
    post(
        &dispatcher,
        (0..1600).map(|number| note(number % 16, number / 16)),
    )
    .await;
    for done in [200, 500, 900] {
        until_eq("some are done", true, || clerk.done().len() >= done).await;
        dispatcher.stop("notes").await.unwrap();
        dispatcher.start("notes").unwrap();
    }
    until_eq("all done", 1600, || clerk.done().len()).await;
    for (key, numbers) in by_key(&clerk.done()) {
        assert!(numbers.iter().copied().eq(0..100), "key {key}: {numbers:?}");
    }
    assert!(broker.messages("notes.dlq").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failing_key_blocks_only_itself_until_dead_lettered() {
    let clerk = Clerk::new(|note, _| match (note.key, note.number) {
        (1, 0) => Err("never".into()),
        _ => Ok(()),
    });
    let broker = InMemoryBroker::new();
    let subscription = ordered().attempts(3).delays([100 * SECOND]).concurrency(2);
    let dispatcher = consuming(&broker, &clerk, subscription).await;
    post(&dispatcher, (0..20).map(|number| note(1, number))).await;
    post(&dispatcher, (0..20).map(|number| note(2, number))).await;
    until_eq("the other key done", 20, || clerk.done().len()).await;
    assert!(clerk.done().iter().all(|(key, _)| *key == 2));
    assert_eq!(
        clerk.asked().iter().filter(|(key, _)| *key == 1).count(),
        1,
        "its others wait"
    );
    tokio::time::sleep(200 * SECOND).await;
    until_eq("all but the one that failed", 39, || clerk.done().len()).await;
    assert!(by_key(&clerk.done())[&1].iter().copied().eq(1..20));
    let dead = broker.messages("notes.dlq");
    assert_eq!(dead.len(), 1);
    let reason = dead[0].header.bag.get("rejectionMessage").unwrap();
    assert_eq!(reason.as_str(), Some("attempt 3 of 3: never"));
}

#[tokio::test(start_paused = true)]
async fn one_whose_time_has_come_again_waits_for_room() {
    let clerk = Clerk::gated(|note, attempt| match (note.key, attempt) {
        (1, 1) => Err("not yet".into()),
        _ => Ok(()),
    });
    let broker = InMemoryBroker::new();
    let subscription = ordered().delays([SECOND]).concurrency(1);
    let dispatcher = consuming(&broker, &clerk, subscription).await;
    post(&dispatcher, [note(1, 0), note(2, 0)]).await;
    clerk.let_go(1);
    until_eq("the other in hand", vec![(1, 0), (2, 0)], || clerk.asked()).await;
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(clerk.now(), 1);
    clerk.open();
    until_eq("both done", 2, || clerk.done().len()).await;
    assert_eq!(clerk.most(), 1);
}

#[tokio::test(start_paused = true)]
async fn messages_kept_for_order_are_counted_and_settled_once() {
    let clerk = Clerk::new(|_, attempt| match attempt {
        1 | 2 => Err("not yet".into()),
        _ => Ok(()),
    });
    let sent = message(&note(1, 0));
    let broker = Scripted::new([Consume::Gives(vec![Came::Message(sent.clone())])]);
    let _dispatcher = receiving(broker.clone(), clerk.clone(), ordered());
    until_eq("it done", vec![(sent.header.id, Settled::Ack)], || {
        broker.settled()
    })
    .await;
    assert_eq!(clerk.asked().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn no_message_overtakes_an_unsettled_one_of_its_key() {
    let clerk = Clerk::new(|_, _| Ok(()));
    let messages: Vec<_> = (0..3).map(|number| message(&note(1, number))).collect();
    let came = |messages: &[Message]| messages.iter().cloned().map(Came::Message).collect();
    let broker = Scripted::new([Consume::Gives(came(&messages)), Consume::Gives(came(&messages))]);
    broker.settling([Settling::Stale]);
    let _dispatcher = receiving(broker.clone(), clerk.clone(), ordered());
    until_eq("all done", 4, || clerk.done().len()).await;
    let numbers: Vec<_> = clerk.done().into_iter().map(|(_, number)| number).collect();
    assert_eq!(numbers, [0, 0, 1, 2], "the first again, before the others");
    assert_eq!(broker.consumed(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_redelivery_waits_for_the_handler_still_running() {
    let clerk = Clerk::gated(|_, _| Ok(()));
    let first = message(&note(1, 0));
    let again = || Came::Message(first.clone());
    let broker = Scripted::new([
        Consume::Gives(vec![again(), Came::Lost]),
        Consume::Gives(vec![again(), Came::Message(message(&note(2, 0)))]),
    ]);
    let _dispatcher = receiving(broker.clone(), clerk.clone(), ordered());
    until_eq("another key goes on", 2, || clerk.now()).await;
    assert_eq!(clerk.asked(), [(1, 0), (2, 0)], "not the first twice at once");
    clerk.open();
    until_eq("all done", 3, || clerk.done().len()).await;
}

#[tokio::test(start_paused = true)]
async fn failures_after_a_lost_channel_are_left_to_the_redelivery() {
    let failures = AtomicUsize::new(1);
    let clerk = Clerk::gated(move |_, _| match failures.swap(0, Ordering::Relaxed) {
        0 => Ok(()),
        _ => Err("the first time".into()),
    });
    let first = message(&note(1, 0));
    let again = || Came::Message(first.clone());
    let broker = Scripted::new([
        Consume::Gives(vec![again(), Came::Lost]),
        Consume::Gives(vec![again()]),
    ]);
    let _dispatcher = receiving(broker.clone(), clerk.clone(), ordered());
    until_eq("consumed again, with the first in hand", (2, 1), || {
        (broker.consumed(), clerk.now())
    })
    .await;
    clerk.open();
    until_eq("done", 1, || clerk.done().len()).await;
    tokio::time::sleep(600 * SECOND).await;
    assert_eq!(clerk.asked().len(), 2, "once for each delivery");
}

#[tokio::test(start_paused = true)]
async fn a_message_without_a_key_is_rejected_and_blocks_nothing() {
    let clerk = Clerk::new(|_, _| Ok(()));
    let mut wrong = message(&note(1, 0));
    wrong.body = brighter::message::MessageBody::new("no note at all");
    let broker = Scripted::new([Consume::Gives(vec![
        Came::Message(wrong),
        Came::Nonsense("no id"),
        Came::Message(message(&note(1, 1))),
    ])]);
    let _dispatcher = receiving(broker.clone(), clerk.clone(), ordered());
    until_eq("all settled", 3, || broker.settled().len()).await;
    let rejected = broker.settled().into_iter().filter(|(_, settled)| {
        matches!(settled, Settled::Reject(rejection) if rejection.kind == RejectionKind::Invalid)
    });
    assert_eq!(rejected.count(), 2);
}

#[test]
fn order_wants_one_performer_and_says_to_use_concurrency() {
    let processor = CommandProcessor::builder()
        .broker(InMemoryBroker::new())
        .handler(Clerk::new(|_, _| Ok(())))
        .build()
        .unwrap();
    let errors = Dispatcher::builder(processor)
        .subscription(ordered().performers(4))
        .build()
        .unwrap_err();
    assert!(errors.to_string().contains("4 performers") && errors.to_string().contains(".concurrency("));
    let only = errors.iter().next().unwrap();
    assert!(matches!(
        only,
        BuildError::OrderWithPerformers { performers: 4, .. }
    ));
    assert!(ordered().settings().channel.limits.single_active_consumer);
}
