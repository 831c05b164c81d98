//! Consuming: copies, competition, and what comes back.

use std::collections::HashSet;
use std::time::Duration;

use brighter::channel::{Broker, ChannelError, Producer, QueueType};
use brighter::prelude::*;
use brighter_tests::rabbitmq::{Corner, Raw};
use brighter_tests::wait::DEADLINE;
use lapin::types::{AMQPValue, FieldTable};
use tokio::time::timeout;

use super::{id, message, next, with_buffer};

#[tokio::test]
async fn each_channel_gets_its_copy() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let mut one = broker.consume(&corner.channel("one", "Task.#")).await.unwrap();
    let mut two = broker
        .consume(&corner.channel("two", "Task.Reminder"))
        .await
        .unwrap();
    let sent = message("Task.Reminder");
    broker.publish(&sent).await.unwrap();
    for consumer in [&mut one, &mut two] {
        let delivery = next(consumer).await;
        assert_eq!(id(&delivery), sent.header.id);
        delivery.ack().await.unwrap();
    }
}

#[tokio::test]
async fn consumers_of_one_channel_compete() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = with_buffer(corner.channel("shared", "topic"), 1);
    let mut one = broker.consume(&channel).await.unwrap();
    let mut two = broker.clone().consume(&channel).await.unwrap();
    let (first, second) = (message("topic"), message("topic"));
    broker.publish(&first).await.unwrap();
    broker.publish(&second).await.unwrap();
    // Neither is settled, so each consumer has one.
    let (a, b) = (next(&mut one).await, next(&mut two).await);
    assert_eq!(
        HashSet::from([id(&a), id(&b)]),
        HashSet::from([first.header.id, second.header.id])
    );
    a.ack().await.unwrap();
    b.ack().await.unwrap();
}

#[tokio::test]
async fn a_dropped_consumer_returns_its_unhandled_messages() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("dropped", "topic");
    let mut consumer = broker.consume(&channel).await.unwrap();
    let sent: Vec<_> = (0..5).map(|_| message("topic")).collect();
    for message in &sent {
        broker.publish(message).await.unwrap();
    }
    let held = next(&mut consumer).await;
    assert_eq!(id(&held), sent[0].header.id);
    drop(consumer);

    let mut others = broker.consume(&channel).await.unwrap();
    let mut came = HashSet::new();
    for _ in 1..sent.len() {
        let delivery = next(&mut others).await;
        came.insert(id(&delivery));
        delivery.ack().await.unwrap();
    }
    let expected: HashSet<_> = sent[1..]
        .iter()
        .map(|message| message.header.id.clone())
        .collect();
    assert_eq!(came, expected);
    held.ack().await.unwrap();
    drop(others);
    broker.close().await;
    Raw::connect().await.until_depth(channel.name.as_str(), 0).await;
}

#[tokio::test]
async fn released_and_dropped_messages_come_again() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let mut consumer = broker
        .consume(&corner.channel("released", "topic"))
        .await
        .unwrap();
    let sent = message("topic");
    broker.publish(&sent).await.unwrap();
    next(&mut consumer).await.release();
    drop(next(&mut consumer).await);
    // A settling that is cut short settles nothing.
    drop(next(&mut consumer).await.ack());
    let delivery = next(&mut consumer).await;
    assert_eq!(id(&delivery), sent.header.id);
    assert_eq!(delivery.message().unwrap().header.handled_count, 0);
    delivery.ack().await.unwrap();
}

#[tokio::test]
async fn no_more_than_the_buffer_is_taken() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = with_buffer(corner.channel("bounded", "topic"), 2);
    let mut consumer = broker.consume(&channel).await.unwrap();
    for _ in 0..5 {
        broker.publish(&message("topic")).await.unwrap();
    }
    let held = [next(&mut consumer).await, next(&mut consumer).await];
    Raw::connect().await.until_depth(channel.name.as_str(), 3).await;
    for delivery in held {
        delivery.ack().await.unwrap();
    }
    next(&mut consumer).await.ack().await.unwrap();
}

#[tokio::test]
async fn a_mismatched_queue_is_refused_and_others_work() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("other", "topic");
    let raw = Raw::connect().await;
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(7));
    let durable = lapin::options::QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    raw.channel
        .queue_declare(channel.name.as_str().into(), durable, arguments)
        .await
        .unwrap();

    let refused = broker.consume(&channel).await.unwrap_err();
    let ChannelError::Refused { reason } = &refused else {
        panic!("{refused:?}");
    };
    assert!(reason.contains(channel.name.as_str()), "{reason}");
    assert!(
        reason.contains("received") && reason.contains("current"),
        "{reason}"
    );
    assert!(reason.contains("delete it"), "{reason}");
    broker.consume(&corner.channel("fine", "topic")).await.unwrap();
}

#[tokio::test]
async fn a_name_that_no_broker_takes_is_refused_here() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    for name in [String::new(), "q".repeat(250)] {
        let refused = broker
            .consume(&brighter::channel::Channel::new(name, "topic"))
            .await;
        assert!(matches!(refused, Err(ChannelError::Name(_))));
    }
}

/// What is posted where a subscription is stopped.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Note", kind = "event")]
struct Note;

#[derive(Clone)]
struct Reader;

#[handler]
impl Handler<Note> for Reader {
    async fn handle(&self, _: &Note, _: &Context) -> Result<(), BoxError> {
        Ok(())
    }
}

/// A quorum queue of RabbitMQ 3.10 and 4.0 counts each time that a message is given back.
#[tokio::test]
async fn a_stop_counts_each_message_at_most_once() {
    // With the last one they count four. At five a message is a suspect, which is handled alone.
    const STOPS: u32 = 3;
    let corner = Corner::new();
    let broker = corner.connect().await;
    let mut channel = corner.channel("stopped", "Note");
    channel.queue_type = Some(QueueType::Quorum);
    broker.declare(&channel).await.unwrap();
    let processor = CommandProcessor::builder()
        .handler(Reader)
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let subscription = Subscription::<Note>::new(channel.name.as_str())
        .routing_key("Note")
        .queue_type(QueueType::Quorum)
        // The first is handled, and the next is in hand for an hour until its turn comes.
        .rate(Rate::new(1, Duration::from_secs(3600)));
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(subscription)
        .build()
        .unwrap();
    processor.post(Note).await.unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    let raw = Raw::connect().await;
    raw.until_depth(channel.name.as_str(), 0).await;
    for _ in 0..3 {
        processor.post(Note).await.unwrap();
    }
    for _ in 0..STOPS {
        raw.until_depth(channel.name.as_str(), 0).await;
        let stopped = timeout(DEADLINE, dispatcher.stop(channel.name.as_str())).await;
        stopped.expect("it stops in time").unwrap();
        raw.until_depth(channel.name.as_str(), 3).await;
        dispatcher.start(channel.name.as_str()).unwrap();
    }
    raw.until_depth(channel.name.as_str(), 0).await;
    dispatcher.stop(channel.name.as_str()).await.unwrap();
    let mut consumer = broker.consume(&channel).await.unwrap();
    for _ in 0..3 {
        let delivery = next(&mut consumer).await;
        let counted = delivery.redeliveries();
        assert!(counted <= STOPS + 1, "{counted} for {} stops", STOPS + 1);
        delivery.ack().await.unwrap();
    }
    dispatcher.end().await;
    broker.close().await;
}
