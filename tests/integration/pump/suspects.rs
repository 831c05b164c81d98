//! Suspects, which may be what ends the process, are handled alone. See `suspects_model` for why.

use brighter::channel::{Channel, Producer};
use brighter::dispatcher::PerformerState;
use brighter_tests::scripted::{Came, Consume, Scripted, Settled};
use brighter_tests::wait::{until, until_eq};

use super::*;

/// From so many redeliveries on a message is a suspect, by default.
const SUSPECT: u32 = 5;

/// Publishes notes to this channel, and has them delivered so often without being settled.
async fn publish_suspects(
    broker: &InMemoryBroker,
    channel: &Channel,
    numbers: impl IntoIterator<Item = u32>,
) {
    broker.declare(channel).await.unwrap();
    let mut count = 0;
    for number in numbers {
        broker.publish(&message(&note(0, number))).await.unwrap();
        count += 1;
    }
    let mut aging = channel.clone();
    aging.buffer = 100.try_into().unwrap();
    for _ in 0..SUSPECT {
        let mut consumer = broker.consume(&aging).await.unwrap();
        let mut taken = Vec::new();
        for _ in 0..count {
            taken.push(consumer.receive().await.unwrap().unwrap());
        }
    }
}

fn channel() -> Channel {
    Channel::new("notes", "Note")
}

#[tokio::test(start_paused = true)]
async fn suspects_are_handled_one_at_a_time() {
    let (broker, clerk) = (InMemoryBroker::new(), Clerk::gated(|_, _| Ok(())));
    publish_suspects(&broker, &channel(), 0..8).await;
    let subscription = notes().performers(3).concurrency(4);
    let dispatcher = receiving(broker.clone(), clerk.clone(), subscription);
    for handled in 1..=8 {
        until_eq("the next suspect", handled, || clerk.asked().len()).await;
        tokio::time::sleep(10 * SECOND).await;
        assert_eq!((clerk.asked().len(), clerk.now()), (handled, 1));
        // What the others had is back.
        assert_eq!(broker.messages("notes").len(), 8 - handled);
        let mut states: Vec<_> = dispatcher.status()[0]
            .performers
            .iter()
            .map(|it| it.state)
            .collect();
        states.sort_by_key(|state| *state == PerformerState::Standby);
        let (one, others) = states.split_first().unwrap();
        assert_eq!(*one, PerformerState::Consuming);
        assert_eq!(others, [PerformerState::Standby; 2]);
        assert!(dispatcher.is_ready());
        clerk.let_go(1);
    }
    // Then all consume as before.
    post(&dispatcher, (0..12).map(|number| note(1, number))).await;
    until_eq("as many at once as may be", 12, || clerk.now()).await;
    clerk.open();
    until_eq("all done", 20, || clerk.done().len()).await;
    until("all consume", || dispatcher.status()[0].consuming() == 3).await;
}

#[tokio::test(start_paused = true)]
async fn an_unsuspected_message_ends_careful_mode() {
    let (broker, clerk) = (InMemoryBroker::new(), Clerk::gated(|_, _| Ok(())));
    publish_suspects(&broker, &channel(), 0..1).await;
    for number in 1..=3 {
        broker.publish(&message(&note(0, number))).await.unwrap();
    }
    let _dispatcher = receiving(broker.clone(), clerk.clone(), notes().concurrency(4));
    until_eq("the suspect", 1, || clerk.asked().len()).await;
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(clerk.asked(), [(0, 0)], "alone");
    clerk.let_go(1);
    until_eq("the others, together", 3, || clerk.now()).await;
    clerk.open();
    until_eq("all done", 4, || clerk.done().len()).await;
}

#[tokio::test(start_paused = true)]
async fn one_subscription_at_a_time_handles_a_suspect() {
    let (broker, clerk) = (InMemoryBroker::new(), Clerk::gated(|_, _| Ok(())));
    let others = Channel::new("others", "Note");
    publish_suspects(&broker, &channel(), 0..3).await;
    // For both, and a suspect in this one.
    publish_suspects(&broker, &others, [10]).await;
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .handler(clerk.clone())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor)
        .subscription(notes())
        .subscription(Subscription::<Note>::new("others"))
        .subscription(Subscription::<Note>::new("fresh").concurrency(2))
        .build()
        .unwrap();
    dispatcher.receive();
    until_eq("one suspect", 1, || clerk.asked().len()).await;
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(clerk.now(), 1, "of four suspects in two channels");
    // For all three.
    broker.publish(&message(&note(0, 50))).await.unwrap();
    until_eq("in the channel without suspects", 2, || clerk.now()).await;
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(clerk.now(), 2);
    clerk.open();
    until_eq("each once in each channel", 8, || clerk.done().len()).await;
}

#[tokio::test(start_paused = true)]
async fn the_consumer_closes_before_a_suspect_starts() {
    let clerk = Clerk::gated(|_, _| Ok(()));
    let (fresh, suspect) = (message(&note(1, 1)), message(&note(2, 2)));
    let broker = Scripted::new([
        Consume::Gives(vec![
            Came::Message(fresh.clone()),
            Came::Again(suspect.clone(), SUSPECT),
        ]),
        Consume::Gives(vec![Came::Message(message(&note(3, 3)))]),
    ]);
    let _dispatcher = receiving(broker.clone(), clerk.clone(), notes().concurrency(4));
    until_eq("both begun", 2, || clerk.now()).await;
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(broker.buffers(), [10], "nothing is taken beside the suspect");
    clerk.let_go(2);
    until_eq("the next, which is no suspect", 3, || clerk.asked().len()).await;
    until_eq("as before", vec![10, 1, 10], || broker.buffers()).await;
}

#[tokio::test(start_paused = true)]
async fn an_ordered_suspect_returns_to_the_front() {
    let clerk = Clerk::new(|_, _| Ok(()));
    let suspect = message(&note(1, 1));
    let again = || Consume::Gives(vec![Came::Again(suspect.clone(), SUSPECT)]);
    let broker = Scripted::new([again(), again()]);
    let subscription = notes().ordered_by(|note: &Note| note.key);
    let _dispatcher = receiving(broker.clone(), clerk.clone(), subscription);
    let id = suspect.header.id.clone();
    until_eq(
        "settled twice",
        vec![(id.clone(), Settled::Release), (id, Settled::Ack)],
        || broker.settled(),
    )
    .await;
    until_eq("as before", vec![100, 1, 100], || broker.buffers()).await;
    assert_eq!(clerk.done(), [(1, 1)]);
}

#[tokio::test(start_paused = true)]
async fn fifty_stops_do_not_dead_letter_a_suspect() {
    let (broker, clerk) = (InMemoryBroker::new(), Clerk::gated(|_, _| Ok(())));
    publish_suspects(&broker, &channel(), 0..3).await;
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .handler(clerk.clone())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor)
        .subscription(notes())
        .drain_timeout(SECOND)
        .build()
        .unwrap();
    for stops in 1..=50 {
        dispatcher.receive();
        until_eq("one in hand", stops, || clerk.asked().len()).await;
        assert_eq!(dispatcher.end().await.interrupted.len(), 1);
    }
    assert_eq!(broker.messages("notes.dlq").len(), 0);
    clerk.open();
    dispatcher.receive();
    until_eq("all handled", 3, || clerk.done().len()).await;
}
