//! When the sweeper looks, and for what.

use std::time::Duration;

use brighter::channel::Channel;
use brighter::outbox::Outbox;
use brighter::prelude::*;
use brighter::testing::outbox::some_message;
use brighter::{MessageId, Sweeper};
use brighter_tests::wait::until_eq;

const SECOND: Duration = Duration::from_secs(1);
const NEVER: Duration = Duration::from_hours(1);

/// A broker with a channel for whatever `some_message` makes, and a processor that sweeps so.
fn sweeping(outbox: &InMemoryOutbox, sweeper: Sweeper) -> (InMemoryBroker, CommandProcessor) {
    let broker = InMemoryBroker::new();
    broker.declare(&Channel::new("all", "#")).unwrap();
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(outbox.clone())
        .sweeper(sweeper)
        .build()
        .unwrap();
    (broker, processor)
}

fn sent(broker: &InMemoryBroker) -> Vec<MessageId> {
    let messages = broker.messages("all").into_iter();
    messages.map(|message| message.header.id).collect()
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_process_had_claimed_is_found_at_the_next_look() {
    let outbox = InMemoryOutbox::new();
    let message = some_message();
    let claimed_for = Some(10 * SECOND);
    outbox
        .deposit(std::slice::from_ref(&message), claimed_for)
        .await
        .unwrap();
    let (broker, _processor) = sweeping(&outbox, Sweeper::default().interval(100 * SECOND));
    // Give or take a tenth.
    tokio::time::sleep(85 * SECOND).await;
    assert_eq!(sent(&broker), [], "nobody says when a claim has ended");
    tokio::time::sleep(30 * SECOND).await;
    until_eq("sent", vec![message.header.id], || sent(&broker)).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_too_young_is_left_alone_and_sent_at_its_age() {
    let outbox = InMemoryOutbox::new();
    let (broker, _processor) = sweeping(&outbox, Sweeper::default().interval(NEVER).min_age(60 * SECOND));
    tokio::time::sleep(SECOND).await;
    let message = some_message();
    outbox
        .deposit(std::slice::from_ref(&message), None)
        .await
        .unwrap();
    tokio::time::sleep(59 * SECOND).await;
    assert_eq!(sent(&broker), []);
    tokio::time::sleep(2 * SECOND).await;
    until_eq("sent", vec![message.header.id], || sent(&broker)).await;
}
