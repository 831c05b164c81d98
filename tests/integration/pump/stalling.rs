//! Whatever the broker does, the pump goes on, and its state says what is the matter.

use brighter::channel::Producer;
use brighter::dispatcher::PerformerState;
use brighter::testing::{FaultyBroker, PublishFault};
use brighter_tests::scripted::{Came, Consume, Scripted, Settled, Settling};
use brighter_tests::wait::{until, until_eq};

use super::*;

fn came(numbers: impl IntoIterator<Item = u32>) -> Vec<Came> {
    let message = |number| Came::Message(message(&note(0, number)));
    numbers.into_iter().map(message).collect()
}

/// Waits until the one performer is in this state, however long the clock has to run for it.
async fn until_state(dispatcher: &Dispatcher, state: PerformerState) {
    let mut changes = dispatcher.changes();
    let reached = async {
        while dispatcher.status()[0].performers != [state] {
            changes.changed().await;
        }
    };
    let waited = tokio::time::timeout(3600 * SECOND, reached).await;
    assert!(waited.is_ok(), "{:?}", dispatcher.status());
}

#[tokio::test(start_paused = true)]
async fn a_consumer_never_given_is_requested_again_and_reported() {
    let broker = Scripted::new([Consume::Hangs, Consume::Gives(came([1]))]);
    let clerk = Clerk::new(|_, _| Ok(()));
    let dispatcher = receiving(broker.clone(), clerk.clone(), notes());
    until_state(&dispatcher, PerformerState::Waiting).await;
    let error = dispatcher.status()[0].last_error.clone().unwrap();
    assert_eq!(error, "the broker has not given the channel within 60s");
    until_eq("the message done", 1, || clerk.done().len()).await;
    until_state(&dispatcher, PerformerState::Consuming).await;
    assert_eq!(broker.consumed(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_or_fails_is_consumed_again() {
    let lost = || came([1]).into_iter().chain([Came::Lost]).collect();
    let broker = Scripted::new([
        Consume::GivesAndEnds(came([0])),
        Consume::Gives(lost()),
        Consume::GivesAndEnds(came([])),
        Consume::Gives(came([2])),
    ]);
    let clerk = Clerk::new(|_, _| Ok(()));
    let dispatcher = receiving(broker.clone(), clerk.clone(), notes());
    until_eq("all done", vec![(0, 0), (0, 1), (0, 2)], || clerk.done()).await;
    until_state(&dispatcher, PerformerState::Consuming).await;
    assert_eq!(broker.consumed(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_hangs_can_be_stopped_and_paused() {
    let broker = Scripted::new([]);
    let dispatcher = receiving(broker.clone(), Clerk::new(|_, _| Ok(())), notes());
    until_state(&dispatcher, PerformerState::Consuming).await;
    dispatcher.pause("notes").unwrap();
    until_state(&dispatcher, PerformerState::Paused).await;
    dispatcher.resume("notes").unwrap();
    until_state(&dispatcher, PerformerState::Consuming).await;
    let report = dispatcher.end().await;
    assert!(report.interrupted.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_hanging_settlement_never_acks_and_blocks_briefly() {
    let broker = Scripted::new([Consume::Gives(came(0..4))]);
    broker.settling([Settling::Hangs, Settling::Stale, Settling::Well, Settling::Well]);
    let clerk = Clerk::new(|_, _| Ok(()));
    let dispatcher = receiving(broker.clone(), clerk.clone(), notes());
    tokio::time::timeout(120 * SECOND, async {
        while broker.settled().len() < 2 {
            tokio::time::sleep(SECOND).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(clerk.done().len(), 4);
    assert!(
        broker
            .settled()
            .iter()
            .all(|(_, settled)| *settled == Settled::Ack)
    );
    until_state(&dispatcher, PerformerState::Consuming).await;
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_panics_is_consumed_again_and_counted() {
    let broker = Scripted::new([Consume::Panics, Consume::Gives(came([1]))]);
    let clerk = Clerk::new(|_, _| Ok(()));
    let dispatcher = receiving(broker.clone(), clerk.clone(), notes());
    until_eq("the message done", 1, || clerk.done().len()).await;
    assert_eq!(dispatcher.status()[0].restarts, 1);
}

#[tokio::test(start_paused = true)]
async fn a_handler_survives_a_lost_channel_and_delays_stop() {
    let first = came([0]).into_iter().chain([Came::Lost]).collect();
    let broker = Scripted::new([Consume::Gives(first), Consume::Hangs]);
    let clerk = Clerk::gated(|_, _| Ok(()));
    let dispatcher = receiving(broker.clone(), clerk.clone(), notes());
    until_eq("it is at it", 1, || clerk.now()).await;
    let ending = tokio::spawn({
        let dispatcher = dispatcher.clone();
        async move { dispatcher.end().await }
    });
    clerk.open();
    assert!(ending.await.unwrap().interrupted.is_empty());
    assert_eq!(clerk.done(), [(0, 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_cannot_be_published_leaves_the_original() {
    let broker = FaultyBroker::new(InMemoryBroker::new());
    let clerk = Clerk::new(|_, attempt| match attempt {
        1 => Err("once".into()),
        _ => Ok(()),
    });
    let dispatcher = receiving(broker.clone(), clerk.clone(), notes().delays([SECOND]));
    dispatcher.wait_until_consuming().await;
    broker.inner().publish(&message(&note(0, 0))).await.unwrap();
    broker.every_publish(Some(PublishFault::Away));
    until_eq("done the second time", 1, || clerk.done().len()).await;
    until("nothing is left", || broker.inner().messages("notes").is_empty()).await;
}
