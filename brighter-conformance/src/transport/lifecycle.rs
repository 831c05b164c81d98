//! Cases with a broker that closes, or whose connection is lost.

use std::sync::Arc;

use futures_util::future::join_all;

use super::Harness;
use super::tools::*;
use brighter_core::channel::{Broker, BrokerStatus, ChannelError, Producer, PublishError};

/// Checks that a closed broker ends its consumers, accepts no messages, and returns errors.
pub async fn closed_it_takes_nothing_and_gives_nothing<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let channel = harness.channel("closed", "Closed");
    let mut consumer = consume(harness, &broker, &channel).await;
    assert_eq!(broker.status(), BrokerStatus::Connected);
    within(harness, "the close", broker.close()).await;
    match received(harness, &mut consumer).await {
        None | Some(Err(_)) => {}
        Some(Ok(delivery)) => panic!("a closed broker gave {delivery:?}"),
    }
    assert_eq!(broker.status(), BrokerStatus::Closed);
    let published = within(harness, "an answer", broker.publish(&numbered("Closed", 0))).await;
    assert!(
        matches!(published, Err(PublishError::Closed)),
        "publishing gave {published:?}"
    );
    let consumed = within(harness, "an answer", broker.consume(&channel)).await;
    assert!(
        matches!(consumed, Err(ChannelError::Closed)),
        "consuming gave {consumed:?}"
    );
    within(harness, "the second close", broker.close()).await;
}

/// Checks that closing from several threads at once, during publishing and consuming, ends all of them.
pub async fn closing_from_many_threads_at_once_ends<H: Harness>(harness: &H) {
    let broker = Arc::new(harness.connect().await);
    let channel = harness.channel("closing", "Closing");
    let mut consumer = consume(harness, &*broker, &channel).await;
    let patience = harness.patience();
    let consuming = on_thread(move || async move {
        let all = async {
            while let Some(Ok(delivery)) = consumer.receive().await {
                let _ = delivery.ack().await;
            }
        };
        tokio::time::timeout(patience, all)
            .await
            .expect("the consumer ends");
    });
    let publishers = (0..2).map(|_| {
        let broker = Arc::clone(&broker);
        on_thread(move || async move {
            for number in 0.. {
                let message = numbered("Closing", number);
                let published = tokio::time::timeout(patience, broker.publish(&message)).await;
                if published.expect("an answer in time").is_err() {
                    break;
                }
            }
        })
    });
    let closers = (0..4).map(|_| {
        let broker = Arc::clone(&broker);
        on_thread(move || async move {
            let closed = tokio::time::timeout(patience, broker.close()).await;
            closed.expect("the close ends");
        })
    });
    tokio::join!(join_all(publishers), join_all(closers), consuming);
    assert_eq!(broker.status(), BrokerStatus::Closed);
}

/// Checks that messages that were acked before a close are not delivered again.
pub async fn closing_writes_what_was_acked<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let channel = with_buffer(harness.channel("flushed", "Flushed"), 50);
    let mut consumer = consume(harness, &broker, &channel).await;
    let sent = series("Flushed", 40);
    publish(harness, &broker, &sent).await;
    let acked = take(harness, &mut consumer, 30).await;
    within(harness, "the close", broker.close()).await;
    drop(consumer);
    let broker = harness.connect().await;
    let mut consumer = consume(harness, &broker, &channel).await;
    let rest = take(harness, &mut consumer, 10).await;
    assert_same(
        "some before the close and the rest after it",
        &[acked, rest].concat(),
        &sent,
    );
    nothing(harness, &mut consumer, "the others were acked").await;
}

/// Checks that messages that were confirmed before a close, or in flight when it began, exist afterwards.
pub async fn what_was_confirmed_outlives_a_close<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let channel = with_buffer(harness.channel("reopened", "Reopened"), 50);
    declare(harness, &broker, &channel).await;
    let sent = series("Reopened", 100);
    let (before, during) = sent.split_at(50);
    publish(harness, &broker, before).await;
    let publishing = broker.publish_all(during.iter().collect());
    let (published, ()) = within(harness, "both to end", async {
        tokio::join!(publishing, broker.close())
    })
    .await;
    let mut confirmed = before.to_vec();
    let mut unknown = Vec::new();
    for (message, published) in during.iter().zip(published) {
        match published {
            Ok(()) => confirmed.push(message.clone()),
            Err(_) => unknown.push(message.header.id.clone()),
        }
    }
    drop(broker);
    let broker = harness.connect().await;
    let mut consumer = consume(harness, &broker, &channel).await;
    let mut came = Vec::new();
    while came.len() < confirmed.len() {
        let next = take(harness, &mut consumer, 1).await.remove(0);
        // An unconfirmed message may have been taken nevertheless.
        if !unknown.contains(&next.header.id) {
            came.push(next);
        }
    }
    assert_same("what was confirmed", &came, &confirmed);
    publish(harness, &broker, &series("Reopened", 1)).await;
}

/// Checks after a fault that confirmed and unacked messages are delivered, and that later publishing works.
async fn goes_on<H: Harness>(harness: &H, harm: impl AsyncFnOnce(&H, &H::Broker)) {
    let broker = harness.connect().await;
    let channel = harness.channel("lost", "Lost");
    let mut consumer = consume(harness, &broker, &channel).await;
    let sent = series("Lost", 20);
    publish(harness, &broker, &sent[..10]).await;
    let acked = take(harness, &mut consumer, 3).await;
    let held = next(harness, &mut consumer).await;
    harm(harness, &broker).await;

    // Deliveries of the old connection can no longer be settled, or are settled for good.
    let held_id = carried(&held).header.id.clone();
    let was_settled = within(harness, "a late ack", held.ack()).await.is_ok();
    let mut consumer = Some(consumer);
    for message in &sent[10..] {
        answer(harness, "publishing again", async || {
            broker.publish(message).await.ok()
        })
        .await;
    }
    // An ack or the answer to a publish may have been lost: more than one delivery is correct, fewer is not.
    let mut came = counted(&acked);
    let ids = counted(&sent);
    while came.len() < ids.len() - usize::from(was_settled && !came.contains_key(&held_id)) {
        let Some(open) = &mut consumer else {
            let consumed = within(harness, "a consumer", broker.consume(&channel)).await;
            consumer = consumed.ok();
            tokio::task::yield_now().await;
            continue;
        };
        match received(harness, open).await {
            Some(Ok(delivery)) => {
                let id = carried(&delivery).header.id.clone();
                assert!(ids.contains_key(&id), "it was never sent: {delivery:?}");
                if delivery.ack().await.is_ok() {
                    *came.entry(id).or_default() += 1;
                }
            }
            Some(Err(ChannelError::Closed | ChannelError::Refused { .. })) => {
                panic!("a lost connection is neither a close nor a refusal")
            }
            Some(Err(_)) | None => consumer = None,
        }
    }
    assert_eq!(broker.status(), BrokerStatus::Connected);
}

/// Checks that a cut connection loses no messages, and that publishing and consuming go on.
pub async fn after_a_lost_connection_it_goes_on<H: Harness>(harness: &H) {
    goes_on(harness, async |harness, broker| harness.cut(broker).await).await;
}

/// Checks that a restart of the server loses no confirmed messages, and that publishing and consuming go on.
pub async fn a_restart_of_the_server_loses_nothing<H: Harness>(harness: &H) {
    goes_on(harness, async |harness, _| harness.restart().await).await;
}
