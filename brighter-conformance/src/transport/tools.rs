//! Tools for the cases, here and in `brighter`, which adds those that need a dispatcher.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::Harness;
use crate::run;
use brighter_core::channel::{Broker, Channel, ChannelError, Consumer, Delivery};
use brighter_core::id::MessageId;
use brighter_core::message::{Message, MessageBody, MessageHeader, MessageType};

/// Returns a message of this topic that contains its number.
pub fn numbered(topic: &str, number: usize) -> Message {
    let header = MessageHeader::new(MessageId::new(), topic, MessageType::Event);
    Message::new(header, MessageBody::new(number.to_string()))
}

/// Returns this many numbered messages, from 0.
pub fn series(topic: &str, count: usize) -> Vec<Message> {
    (0..count).map(|number| numbered(topic, number)).collect()
}

/// Returns the number in a message.
pub fn number(message: &Message) -> usize {
    let text = std::str::from_utf8(message.body.as_bytes()).ok();
    let number = text.and_then(|text| text.parse().ok());
    number.unwrap_or_else(|| panic!("a body is not what was sent: {:?}", message.body.as_bytes()))
}

/// Returns the message of a delivery.
pub fn carried(delivery: &Delivery) -> &Message {
    let message = delivery.message();
    message.unwrap_or_else(|why| panic!("what came makes no sense to the transport: {why}"))
}

pub fn with_buffer(mut channel: Channel, buffer: u16) -> Channel {
    channel.buffer = buffer.try_into().expect("a buffer holds something");
    channel
}

/// Returns the result of the future, within the patience of the harness.
pub async fn within<H: Harness, T>(harness: &H, what: &str, future: impl Future<Output = T>) -> T {
    let patience = harness.patience();
    match timeout(patience, future).await {
        Ok(given) => given,
        Err(_) => panic!("not within {patience:?}: {what}"),
    }
}

/// Calls `ask` repeatedly until it returns an answer.
pub async fn answer<H: Harness, T>(harness: &H, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + harness.patience();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "not within {:?}: {what}",
            harness.patience()
        );
        sleep(Duration::from_millis(5)).await;
    }
}

/// Publishes all messages, one after the other.
pub async fn publish<H: Harness>(harness: &H, broker: &impl Broker, messages: &[Message]) {
    for message in messages {
        let published = within(harness, "a publish", broker.publish(message)).await;
        published.unwrap_or_else(|error| panic!("publishing failed: {error:?}"));
    }
}

pub async fn consume<H: Harness>(harness: &H, broker: &impl Broker, channel: &Channel) -> Consumer {
    let consumer = within(harness, "a consumer", broker.consume(channel)).await;
    consumer.unwrap_or_else(|error| panic!("`{}` cannot be consumed: {error:?}", channel.name))
}

/// Declares a channel without a consumer.
pub async fn declare<H: Harness>(harness: &H, broker: &impl Broker, channel: &Channel) {
    drop(consume(harness, broker, channel).await);
}

/// Returns the next item of a consumer: a delivery, an error, or the end.
pub async fn received<H: Harness>(
    harness: &H,
    consumer: &mut Consumer,
) -> Option<Result<Delivery, ChannelError>> {
    within(harness, "something to come", consumer.receive()).await
}

/// Returns the next delivery.
pub async fn next<H: Harness>(harness: &H, consumer: &mut Consumer) -> Delivery {
    match received(harness, consumer).await {
        Some(Ok(delivery)) => delivery,
        Some(Err(error)) => panic!("the channel was lost: {error:?}"),
        None => panic!("the consumer ended, though nobody closed it"),
    }
}

pub async fn ack(delivery: Delivery) {
    let acked = delivery.ack().await;
    acked.unwrap_or_else(|error| panic!("an ack failed: {error:?}"));
}

/// Acks the next `count` messages, and returns them.
pub async fn take<H: Harness>(harness: &H, consumer: &mut Consumer, count: usize) -> Vec<Message> {
    let mut taken = Vec::with_capacity(count);
    while taken.len() < count {
        let delivery = next(harness, consumer).await;
        taken.push(carried(&delivery).clone());
        ack(delivery).await;
    }
    taken
}

/// Fails if anything is delivered.
pub async fn nothing<H: Harness>(harness: &H, consumer: &mut Consumer, why: &str) {
    if let Ok(came) = timeout(harness.quiet(), consumer.receive()).await {
        panic!("{why}, and yet there came {came:?}");
    }
}

/// Returns how often each message occurs.
pub fn counted<'a>(messages: impl IntoIterator<Item = &'a Message>) -> BTreeMap<MessageId, usize> {
    let mut counts = BTreeMap::new();
    for message in messages {
        *counts.entry(message.header.id.clone()).or_default() += 1;
    }
    counts
}

/// Fails unless these are the messages that were sent, each as often.
pub fn assert_same(what: &str, came: &[Message], sent: &[Message]) {
    let (came, sent) = (counted(came), counted(sent));
    let lost = sent.keys().filter(|id| !came.contains_key(*id)).count();
    let unexpected = came.keys().filter(|id| !sent.contains_key(*id)).count();
    let again = came
        .iter()
        .filter(|(id, times)| sent.get(*id).is_some_and(|sent| sent < *times));
    let again = again.count();
    assert!(
        came == sent,
        "{what}: of {} messages {lost} were lost, {again} came more than once, and {unexpected} were never sent",
        sent.len()
    );
}

/// Runs a future in a thread with a runtime of its own, so that it runs in parallel.
pub async fn on_thread<T, F>(work: impl FnOnce() -> F + Send + 'static) -> T
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let (sender, receiver) = oneshot::channel();
    let working = thread::spawn(move || {
        let done = run(work());
        let _ = sender.send(done);
    });
    match receiver.await {
        Ok(done) => done,
        Err(_) => match working.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("it was sent"),
        },
    }
}
