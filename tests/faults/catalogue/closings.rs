//! Two publishers and three consumers, while an operator closes the consumers' connections every second.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brighter::channel::{Broker, Channel, ChannelError, Producer};
use brighter::{MessageId, RabbitMq};
use brighter_faults::node;
use brighter_faults::place::{Place, message};
use brighter_faults::scale::{report, size};
use brighter_faults::wait::until_answer;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

const PUBLISHERS: usize = 2;
const CONSUMERS: usize = 3;
/// How many messages are handed over at once.
const BATCH: usize = 200;

/// How often each message was handled.
type Handled = Arc<Mutex<HashMap<MessageId, u32>>>;
type Sent = Arc<Mutex<HashSet<MessageId>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e06_frequent_connection_closes_lose_no_message() {
    let node = node::shared().await;
    let place = Place::new(&node);
    let messages = size(10_000, 100_000);
    let mut channel = place.channel("closings", "closings");
    channel.buffer = 200.try_into().unwrap();
    let (sent, handled) = (Sent::default(), Handled::default());
    let (enough, over) = (CancellationToken::new(), CancellationToken::new());

    let mut consumers = JoinSet::new();
    for _ in 0..CONSUMERS {
        let broker = place.connect().await;
        // So that the queue is there before the first message.
        drop(broker.consume(&channel).await.unwrap());
        consumers.spawn(consume(
            broker,
            channel.clone(),
            Arc::clone(&handled),
            over.clone(),
        ));
    }
    let mut publishers = JoinSet::new();
    for _ in 0..PUBLISHERS {
        publishers.spawn(publish(
            place.connect().await,
            messages / PUBLISHERS,
            Arc::clone(&sent),
            enough.clone(),
        ));
    }
    let publishing = tokio::spawn(publishers.join_all());
    let count = || handled.lock().unwrap().len();
    let is_over = || publishing.is_finished() && count() == sent.lock().unwrap().len();
    let connections = format!("{} consumer", place.id());
    let (mut closed, mut before) = (0, 0);
    while !is_over() {
        if count() > 0 {
            closed += node.close_connections(&connections).await;
        }
        // Until then messages are published, however fast they go.
        if closed >= CONSUMERS {
            enough.cancel();
        }
        sleep(Duration::from_secs(1)).await;
        // Not one second may pass in which nothing at all is handled once they are back: at worst they lose
        // their connections again before the first.
        until_answer("progress", true, async || count() > before || is_over()).await;
        before = count();
    }
    publishing.await.unwrap();
    // What came twice is settled too, and only then is nothing left.
    until_answer("left in the queue", 0, async || {
        node.depth(channel.name.as_str()).await.0
    })
    .await;
    over.cancel();
    consumers.join_all().await;

    let (sent, handled) = (sent.lock().unwrap(), handled.lock().unwrap());
    let twice = handled.values().map(|times| times - 1).sum::<u32>();
    report(
        "closings",
        format_args!("{} messages, {closed} closed, {twice} twice, 0 lost", sent.len()),
    );
    assert!(sent.len() >= messages);
    assert_eq!(handled.len(), sent.len());
    assert!(
        sent.iter().all(|id| handled.contains_key(id)),
        "one is none of ours"
    );
}

/// Publishes so many or more, until it is enough, each again with the same id until it is confirmed.
async fn publish(broker: RabbitMq, least: usize, sent: Sent, enough: CancellationToken) {
    let (mut waiting, mut confirmed) = (Vec::new(), 0);
    while confirmed < least || !waiting.is_empty() || !enough.is_cancelled() {
        if waiting.is_empty() {
            let ids: Vec<_> = (0..BATCH).map(|_| MessageId::new()).collect();
            waiting.extend(ids.iter().map(|id| message("closings", &id.to_string())));
            sent.lock().unwrap().extend(ids);
        }
        let some = std::mem::take(&mut waiting);
        let results = broker.publish_all(some.iter().collect()).await;
        for (message, result) in some.into_iter().zip(results) {
            match result {
                Ok(()) => confirmed += 1,
                Err(error) if error.is_outage() => waiting.push(message),
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    broker.close().await;
}

/// Consumes, as a dispatcher does, through every loss.
async fn consume(broker: RabbitMq, channel: Channel, handled: Handled, over: CancellationToken) {
    let consuming = async {
        loop {
            let mut consumer = match broker.consume(&channel).await {
                Ok(consumer) => consumer,
                Err(ChannelError::Disconnected(_) | ChannelError::Lost { .. }) => {
                    sleep(Duration::from_millis(20)).await;
                    continue;
                }
                Err(error) => panic!("{error:?}"),
            };
            while let Some(Ok(delivery)) = consumer.receive().await {
                let id = delivery.message().unwrap().header.id.clone();
                *handled.lock().unwrap().entry(id).or_default() += 1;
                // One that is stale comes again.
                let _ = delivery.ack().await;
            }
        }
    };
    over.run_until_cancelled(consuming).await;
    broker.close().await;
}
