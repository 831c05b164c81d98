//! Posting and receiving.

use std::collections::HashSet;

use brighter::channel::{Broker, Producer};
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::prelude::*;
use brighter::trace::TraceContext;
use brighter_tests::rabbitmq::Raw;
use futures_util::future::join_all;

use super::Ground;
use crate::rabbitmq::{id, message, next, with_buffer};

on_both_queue_types!(
    posting_a_message_via_the_messaging_gateway_should_be_received,
    a_message_consumer_reads_multiple_messages_should_receive_all_messages,
    confirming_posting_a_message_should_receive_publish_confirmation,
    multiple_tasks_try_to_post_a_message_at_the_same_time_should_not_fail,
    posting_a_message_to_persist_via_the_messaging_gateway,
    binding_a_channel_to_multiple_topics,
    sending_a_message_should_propagate_activity_context,
);

async fn posting_a_message_via_the_messaging_gateway_should_be_received(ground: Ground) {
    let broker = ground.corner.connect().await;
    let mut consumer = broker.consume(&ground.channel("posting", "topic")).await.unwrap();
    let mut header = MessageHeader::new(MessageId::new(), "topic", MessageType::Command);
    header.correlation_id = Some(MessageId::new());
    header.content_type = "application/json; charset=utf-8".into();
    header.bag.insert("tenant", "nord");
    header.bag.insert("attempt", 7);
    header.bag.insert("ratio", 0.5);
    header.bag.insert("urgent", true);
    let sent = Message::new(header, MessageBody::new(r#"{"name":"größe"}"#));
    broker.publish(&sent).await.unwrap();

    let delivery = next(&mut consumer).await;
    let mut received = delivery.message().unwrap().clone();
    // Travels with milliseconds.
    let age = sent.header.timestamp.duration_since(received.header.timestamp);
    assert!(age.unwrap().as_millis() < 1);
    received.header.timestamp = sent.header.timestamp;
    assert_eq!(received.body, sent.body);
    assert_eq!(received.header.bag, sent.header.bag);
    assert_eq!(received.header.id, sent.header.id);
    assert_eq!(received.header.correlation_id, sent.header.correlation_id);
    assert_eq!(received.header.content_type, sent.header.content_type);
    assert_eq!(received.header.message_type, sent.header.message_type);
    assert_eq!(received.header.topic, sent.header.topic);
    assert_eq!(received.header.handled_count, 0);
    assert_eq!(delivery.redeliveries(), 0);
    delivery.ack().await.unwrap();
}

async fn a_message_consumer_reads_multiple_messages_should_receive_all_messages(ground: Ground) {
    let broker = ground.corner.connect().await;
    let channel = with_buffer(ground.channel("multiple", "topic"), 4);
    let mut consumer = broker.consume(&channel).await.unwrap();
    let sent: Vec<_> = (0..20).map(|_| message("topic")).collect();
    for message in &sent {
        broker.publish(message).await.unwrap();
    }
    for message in &sent {
        let delivery = next(&mut consumer).await;
        assert_eq!(id(&delivery), message.header.id);
        delivery.ack().await.unwrap();
    }
    broker.close().await;
    Raw::connect().await.until_depth(channel.name.as_str(), 0).await;
}

async fn confirming_posting_a_message_should_receive_publish_confirmation(ground: Ground) {
    let broker = ground.corner.connect().await;
    let channel = ground.channel("confirming", "topic");
    drop(broker.consume(&channel).await.unwrap());
    broker.publish(&message("topic")).await.unwrap();
    // Confirmed is in the queue.
    assert_eq!(broker.depth(&channel).await.unwrap(), Some(1));
}

async fn multiple_tasks_try_to_post_a_message_at_the_same_time_should_not_fail(ground: Ground) {
    let broker = ground.corner.connect().await;
    let channel = ground.channel("together", "topic");
    let mut consumer = broker.consume(&channel).await.unwrap();
    let sent: Vec<_> = (0..50).map(|_| message("topic")).collect();
    let posting = sent.clone().into_iter().map(|message| {
        let broker = broker.clone();
        tokio::spawn(async move { broker.publish(&message).await })
    });
    for posted in join_all(posting).await {
        posted.unwrap().unwrap();
    }
    let mut came = HashSet::new();
    while came.len() < sent.len() {
        let delivery = next(&mut consumer).await;
        came.insert(id(&delivery));
        delivery.ack().await.unwrap();
    }
    assert_eq!(came, sent.into_iter().map(|message| message.header.id).collect());
}

async fn posting_a_message_to_persist_via_the_messaging_gateway(ground: Ground) {
    let broker = ground.corner.connect().await;
    let channel = ground.channel("persist", "topic");
    drop(broker.consume(&channel).await.unwrap());
    broker.publish(&message("topic")).await.unwrap();
    let found = Raw::connect().await.take(channel.name.as_str()).await;
    assert_eq!(*found.properties.delivery_mode(), Some(2));
}

async fn binding_a_channel_to_multiple_topics(ground: Ground) {
    let broker = ground.corner.connect().await;
    let mut channel = ground.channel("several", "one");
    channel.routing_keys.push("two.*".into());
    let mut consumer = broker.consume(&channel).await.unwrap();
    for topic in ["one", "two.a", "two.b"] {
        let sent = message(topic);
        broker.publish(&sent).await.unwrap();
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.message().unwrap().header.topic.as_str(), topic);
        delivery.ack().await.unwrap();
    }
    broker.publish(&message("three")).await.unwrap_err();
}

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Order.Place")]
struct PlaceOrder;

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Order.Placed", kind = "event")]
struct OrderPlaced;

struct Places;

#[handler]
impl Handler<PlaceOrder> for Places {
    async fn handle(&self, _: &PlaceOrder, cx: &Context) -> Result<(), BoxError> {
        cx.post(OrderPlaced).await?;
        Ok(())
    }
}

/// From the caller that posts, over a handler, to the messages that it posts.
async fn sending_a_message_should_propagate_activity_context(ground: Ground) {
    let broker = ground.corner.connect().await;
    let orders = ground.channel("orders", "Order.Place");
    let mut placed = broker
        .consume(&ground.channel("placed", "Order.Placed"))
        .await
        .unwrap();
    let mut witness = broker
        .consume(&ground.channel("witness", "Order.Place"))
        .await
        .unwrap();
    let processor = CommandProcessor::builder()
        .handler(Places)
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let subscription = Subscription::<PlaceOrder>::new("orders")
        .channel(orders.name.clone())
        .queue_type(ground.queue_type);
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(subscription)
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;

    let trace = TraceContext::default()
        .with_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        .with_tracestate("vendor=1")
        .with_baggage("tenant=north");
    let cx = Context::new().with_trace(trace.clone());
    processor.post(PlaceOrder).caused_by(&cx).await.unwrap();
    for consumer in [&mut witness, &mut placed] {
        let delivery = next(consumer).await;
        let arrived = &delivery.message().unwrap().header.trace;
        assert_eq!(arrived.traceparent(), trace.traceparent());
        assert_eq!(arrived.tracestate(), Some("vendor=1"));
        assert_eq!(arrived.baggage(), Some("tenant=north"));
        delivery.ack().await.unwrap();
    }
    dispatcher.end().await;
}
