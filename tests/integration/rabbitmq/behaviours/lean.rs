//! Messages with lean headers, on their way through a broker.

use std::time::Duration;

use brighter::channel::{Broker, Channel, Producer, Rejection, RejectionKind};
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::transport::rabbitmq::Headers;
use brighter::{Message, MessageId, RabbitMq};
use brighter_tests::rabbitmq::Raw;
use lapin::options::{BasicGetOptions, BasicRejectOptions};

use super::Ground;
use crate::rabbitmq::next;

on_both_queue_types!(
    lean_messages_keep_their_topic_through_a_retry,
    lean_messages_keep_their_topic_when_rejected,
    lean_messages_keep_their_topic_when_the_broker_moves_them,
    headers_can_be_set_for_one_topic,
);

fn command(topic: &str) -> Message {
    let mut header = MessageHeader::new(MessageId::new(), topic, MessageType::Command)
        .with_correlation_id("conversation".into());
    header.bag.insert("tenant", "north");
    Message::new(header, MessageBody::new("{}"))
}

async fn lean(ground: &Ground) -> RabbitMq {
    let builder = ground.corner.builder().headers(Headers::Lean);
    builder.connect().await.unwrap()
}

/// Compares all that lean headers carry: the time has whole seconds.
fn assert_same(mut read: Message, sent: &Message) {
    read.header.timestamp = sent.header.timestamp;
    assert_eq!(read, *sent);
}

async fn lean_messages_keep_their_topic_through_a_retry(ground: Ground) {
    let broker = lean(&ground).await;
    let channel = ground.channel("retried", "Task.Reminder");
    ground.corner.queue("retried.delay.10");
    let mut consumer = broker.consume(&channel).await.unwrap();
    let mut sent = command("Task.Reminder");
    broker.publish(&sent).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_same(delivery.message().unwrap().clone(), &sent);
    delivery.requeue(Duration::from_millis(10), true).await.unwrap();
    let delivery = next(&mut consumer).await;
    sent.header.handled_count = 1;
    assert_same(delivery.message().unwrap().clone(), &sent);
    delivery.ack().await.unwrap();
}

async fn lean_messages_keep_their_topic_when_rejected(ground: Ground) {
    let broker = lean(&ground).await;
    let channel = ground.channel("rejected", "Task.Reminder");
    let mut consumer = broker.consume(&channel).await.unwrap();
    let sent = command("Task.Reminder");
    broker.publish(&sent).await.unwrap();
    let rejection = Rejection::new(RejectionKind::DeadLetter, "no such customer");
    next(&mut consumer).await.reject(rejection).await.unwrap();
    let dead = Channel::existing(channel.dead_letters.clone());
    let mut dead = broker.consume(&dead).await.unwrap();
    let delivery = next(&mut dead).await;
    let header = &delivery.message().unwrap().header;
    assert_eq!(
        (header.topic.as_str(), &header.id),
        ("Task.Reminder", &sent.header.id)
    );
    assert_eq!(header.message_type, MessageType::Command);
    delivery.ack().await.unwrap();
}

async fn lean_messages_keep_their_topic_when_the_broker_moves_them(ground: Ground) {
    let broker = lean(&ground).await;
    let channel = ground.channel("moved", "Task.Reminder");
    broker.declare(&channel).await.unwrap();
    let sent = command("Task.Reminder");
    broker.publish(&sent).await.unwrap();
    let raw = Raw::connect().await;
    raw.until_depth(channel.name.as_str(), 1).await;
    let options = BasicGetOptions { no_ack: false };
    let found = raw
        .channel
        .basic_get(channel.name.as_str().into(), options)
        .await
        .unwrap();
    let refuse = BasicRejectOptions { requeue: false };
    found.unwrap().delivery.acker.reject(refuse).await.unwrap();
    let dead = Channel::existing(channel.dead_letters.clone());
    let mut dead = broker.consume(&dead).await.unwrap();
    let delivery = next(&mut dead).await;
    assert_same(delivery.message().unwrap().clone(), &sent);
    delivery.ack().await.unwrap();
}

async fn headers_can_be_set_for_one_topic(ground: Ground) {
    let builder = ground
        .corner
        .builder()
        .headers_for("Metrics.Sample", Headers::Lean);
    let broker = builder.connect().await.unwrap();
    let raw = Raw::connect().await;
    for (name, topic, is_lean) in [("lean", "Metrics.Sample", true), ("full", "Task.Reminder", false)] {
        let channel = ground.channel(name, topic);
        broker.declare(&channel).await.unwrap();
        broker.publish(&command(topic)).await.unwrap();
        let found = raw.take(channel.name.as_str()).await;
        let headers = found.properties.headers().as_ref().unwrap().inner();
        for header in ["Topic", "HandledCount", "cloudEvents_id", "cloudEvents_type"] {
            assert_eq!(headers.contains_key(header), !is_lean, "{topic}: {header}");
        }
        assert!(headers.contains_key("MessageType") && headers.contains_key("tenant"));
    }
}
