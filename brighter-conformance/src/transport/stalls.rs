//! Cases with a server that is reachable and does nothing.
//!
//! A transport should notice the stall within 5 s, and consume again within 10 s after the mend. These times are only
//! printed: whether a case passes does not depend on the speed of the machine.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::harness::{Harness, Stall};
use super::tools::*;
use brighter_core::channel::{Broker, BrokerStatus, Channel, ChannelError, Consumer, Producer};
use brighter_core::id::MessageId;
use brighter_core::message::Message;

/// Checks that a server that vanished is noticed: the status changes, and neither a publish nor a consumer waits in
/// vain. After the mend no message is lost.
pub async fn a_half_open_connection_is_noticed<H: Harness>(harness: &H) {
    is_noticed(harness, Stall::HalfOpen).await;
}

/// Checks that a server that accepts connections and answers nothing is noticed in the same way.
pub async fn a_silent_server_is_noticed<H: Harness>(harness: &H) {
    is_noticed(harness, Stall::Silent).await;
}

async fn is_noticed<H: Harness>(harness: &H, stall: Stall) {
    let broker = harness.connect().await;
    let channel = harness.channel("stalled", "Stalled");
    let mut consumer = consume(harness, &broker, &channel).await;
    let sent = series("Stalled", 20);
    publish(harness, &broker, &sent[..10]).await;
    let acked = take(harness, &mut consumer, 3).await;

    let begun = Instant::now();
    harness.stall(&broker, stall).await;
    let published = within(harness, "an answer", broker.publish(&sent[10])).await;
    match published {
        Err(error) if error.is_outage() => {}
        other => panic!("publishing to a server that is {stall:?} gave {other:?}"),
    }
    println!("{stall:?}: a publish had its error after {:?}", begun.elapsed());
    answer(harness, "the stall to be noticed", async || {
        let is_noticed = match broker.status() {
            BrokerStatus::Connected => false,
            BrokerStatus::Closed => panic!("a stall is no close"),
            _ => true,
        };
        is_noticed.then_some(())
    })
    .await;
    println!(
        "{stall:?}: noticed after {:?}, of 5 s that are asked",
        begun.elapsed()
    );
    let asked = Instant::now();
    let consumed = within(harness, "an answer", broker.consume(&channel)).await;
    println!("{stall:?}: a consumer had its error after {:?}", asked.elapsed());
    match consumed {
        Err(ChannelError::Disconnected(_) | ChannelError::TimedOut { .. } | ChannelError::Lost { .. }) => {}
        other => panic!("consuming from a server that is {stall:?} gave {other:?}"),
    }

    let mended = Instant::now();
    harness.mend(&broker).await;
    let mut came = counted(&acked);
    let mut consumer = Some(consumer);
    // The failed message may have been taken nevertheless.
    for message in &sent[10..] {
        answer(harness, "publishing again", async || {
            broker.publish(message).await.ok()
        })
        .await;
    }
    receive_all(
        harness,
        &broker,
        &channel,
        &mut consumer,
        &mut came,
        &sent,
        || {
            println!(
                "{stall:?}: consuming again {:?} after the mend, of 10 s that are asked",
                mended.elapsed()
            );
        },
    )
    .await;
    assert_eq!(broker.status(), BrokerStatus::Connected);
}

/// Checks that a registered consumer that receives nothing is noticed while messages wait: its stream ends, or it
/// receives them after all. There is no mend.
pub async fn a_consumer_that_gets_nothing_is_noticed<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let channel = harness.channel("deaf", "Deaf");
    let mut consumer = consume(harness, &broker, &channel).await;
    let sent = series("Deaf", 10);
    publish(harness, &broker, &sent[..5]).await;
    let acked = take(harness, &mut consumer, 5).await;
    let begun = Instant::now();
    harness.stall(&broker, Stall::Deaf).await;
    publish(harness, &broker, &sent[5..]).await;
    let mut came = counted(&acked);
    let mut consumer = Some(consumer);
    receive_all(
        harness,
        &broker,
        &channel,
        &mut consumer,
        &mut came,
        &sent,
        || {
            println!("Deaf: consuming again after {:?}", begun.elapsed());
        },
    )
    .await;
    harness.mend(&broker).await;
}

/// Receives and acks until each of these messages has arrived, and consumes again each time a stream ends. More than
/// one delivery is correct, none is not.
async fn receive_all<H: Harness>(
    harness: &H,
    broker: &H::Broker,
    channel: &Channel,
    consumer: &mut Option<Consumer>,
    came: &mut BTreeMap<MessageId, usize>,
    sent: &[Message],
    first: impl FnOnce(),
) {
    let ids = counted(sent);
    let mut first = Some(first);
    while came.len() < ids.len() {
        let Some(open) = consumer else {
            let consumed = within(harness, "an answer", broker.consume(channel)).await;
            *consumer = consumed.ok();
            tokio::task::yield_now().await;
            continue;
        };
        match received(harness, open).await {
            Some(Ok(delivery)) => {
                let id = carried(&delivery).header.id.clone();
                assert!(ids.contains_key(&id), "it was never sent: {delivery:?}");
                if let Some(first) = first.take() {
                    first();
                }
                if delivery.ack().await.is_ok() {
                    *came.entry(id).or_default() += 1;
                }
            }
            Some(Err(ChannelError::Closed | ChannelError::Refused { .. })) => {
                panic!("a stall is neither a close nor a refusal")
            }
            Some(Err(_)) | None => *consumer = None,
        }
    }
}
