//! Messages that are set aside, by us and by the broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use brighter::channel::{Broker, Channel, Producer, Rejection, RejectionKind};
use brighter::prelude::*;
use brighter_tests::rabbitmq::Raw;
use lapin::message::BasicGetMessage;
use lapin::types::AMQPValue;

use super::Ground;
use crate::rabbitmq::{id, message, next, with_buffer};

on_both_queue_types!(
    rejecting_a_message_to_a_dead_letter_queue,
    requeuing_a_message_too_many_times_should_move_to_dead_letter_queue,
    retry_limits_force_a_message_onto_the_dlq,
    no_imq_configured_reject_falls_back_to_dlq,
);

/// What a header of a dead letter says.
fn header(found: &BasicGetMessage, name: &str) -> Option<String> {
    let headers = found.properties.headers().as_ref()?.inner();
    match headers.get(name)? {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        other => Some(format!("{other:?}")),
    }
}

async fn rejecting_a_message_to_a_dead_letter_queue(ground: Ground) {
    let broker = ground.corner.connect().await;
    let channel = ground.channel("rejecting", "topic");
    let mut consumer = broker.consume(&channel).await.unwrap();
    let sent = message("topic");
    broker.publish(&sent).await.unwrap();
    let rejection = Rejection::new(RejectionKind::DeadLetter, "no such customer");
    next(&mut consumer).await.reject(rejection).await.unwrap();
    let found = Raw::connect().await.take(channel.dead_letters.as_str()).await;
    assert_eq!(found.data, sent.body.as_bytes());
    assert_eq!(
        header(&found, "rejectionReason").as_deref(),
        Some("DeliveryError")
    );
    assert_eq!(
        header(&found, "rejectionMessage").as_deref(),
        Some("no such customer")
    );
    assert_eq!(header(&found, "originalTopic").as_deref(), Some("topic"));
}

/// Who wants one channel for both names it for both.
async fn no_imq_configured_reject_falls_back_to_dlq(ground: Ground) {
    let broker = ground.corner.connect().await;
    let mut channel = ground.channel("fallback", "topic");
    channel.invalid_messages = channel.dead_letters.clone();
    let mut consumer = broker.consume(&channel).await.unwrap();
    broker.publish(&message("topic")).await.unwrap();
    let rejection = Rejection::new(RejectionKind::Invalid, "no JSON");
    next(&mut consumer).await.reject(rejection).await.unwrap();
    let found = Raw::connect().await.take(channel.dead_letters.as_str()).await;
    assert_eq!(header(&found, "rejectionReason").as_deref(), Some("Unacceptable"));
    assert_eq!(header(&found, "rejectionMessage").as_deref(), Some("no JSON"));
}

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "Order.Placed")]
struct OrderPlaced {
    number: u32,
}

struct FailsAlways(Arc<AtomicU32>);

#[handler]
impl Handler<OrderPlaced> for FailsAlways {
    async fn handle(&self, order: &OrderPlaced) -> Result<(), brighter::BoxError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Err(format!("order {} cannot be placed", order.number).into())
    }
}

/// Ours: the subscription counts, over copies that the broker takes for new messages.
async fn requeuing_a_message_too_many_times_should_move_to_dead_letter_queue(ground: Ground) {
    let broker = ground.corner.connect().await;
    let channel = ground.channel("attempts", "Order.Placed");
    ground.corner.queue("attempts.delay.10");
    let attempts = Arc::new(AtomicU32::new(0));
    let processor = CommandProcessor::builder()
        .handler(FailsAlways(Arc::clone(&attempts)))
        .broker(broker.clone())
        .outbox(brighter::InMemoryOutbox::new())
        .build()
        .unwrap();
    let subscription = Subscription::<OrderPlaced>::new("attempts")
        .channel(channel.name.clone())
        .queue_type(ground.queue_type)
        .attempts(3)
        .delays([Duration::from_millis(10)]);
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(subscription)
        .build()
        .unwrap();
    // So that the channel is there to be posted to.
    drop(broker.consume(&channel).await.unwrap());
    dispatcher.receive();
    processor.post(OrderPlaced { number: 7 }).await.unwrap();
    let found = Raw::connect().await.take(channel.dead_letters.as_str()).await;
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
    let reason = header(&found, "rejectionMessage").unwrap();
    assert!(reason.contains("order 7 cannot be placed"), "{reason}");
    dispatcher.end().await;
    assert_eq!(broker.depth(&channel).await.unwrap(), Some(0));
}

/// The broker's limit: for a message that kills its consumer. A classic queue does not count.
async fn retry_limits_force_a_message_onto_the_dlq(ground: Ground) {
    let broker = ground.corner.connect().await;
    let mut channel = with_buffer(ground.channel("limit", "topic"), 1);
    channel.limits.deliveries = Some(2);
    if !ground.is_quorum() {
        let refused = broker.consume(&channel).await.unwrap_err();
        assert!(refused.to_string().contains("QueueType::Quorum"), "{refused}");
        return;
    }
    broker.declare(&channel).await.unwrap();
    let sent = message("topic");
    broker.publish(&sent).await.unwrap();
    for before in 0..=2 {
        let dying = ground.corner.connect().await;
        let mut consumer = dying.consume(&channel).await.unwrap();
        let delivery = next(&mut consumer).await;
        assert_eq!(id(&delivery), sent.header.id);
        assert_eq!(delivery.redeliveries(), before);
        // Whatever the version, a connection that ends with it in hand counts.
        dying.close().await;
    }
    let mut consumer = broker.consume(&channel).await.unwrap();
    let found = Raw::connect().await.take(channel.dead_letters.as_str()).await;
    assert_eq!(found.data, sent.body.as_bytes());
    assert_eq!(broker.depth(&channel).await.unwrap(), Some(0));
    is_not_believed_when_it_comes_from_a_stranger(&broker, &mut consumer, &channel).await;
}

/// C12: the count is the broker's to set.
async fn is_not_believed_when_it_comes_from_a_stranger(
    broker: &RabbitMq,
    consumer: &mut brighter::channel::Consumer,
    channel: &Channel,
) {
    let raw = Raw::connect().await;
    let mut headers = lapin::types::FieldTable::default();
    headers.insert("x-delivery-count".into(), AMQPValue::LongLongInt(1000));
    let forged = lapin::BasicProperties::default().with_headers(headers);
    raw.put(channel.name.as_str(), forged, b"{}").await;
    let delivery = next(consumer).await;
    assert_eq!(delivery.redeliveries(), 0);
    delivery.release();
    // Its own count is in its place by now, or, from 4.3 on, beside it and no less.
    let delivery = next(consumer).await;
    assert_eq!(delivery.redeliveries(), 1);
    delivery.ack().await.unwrap();
    assert_eq!(broker.depth(channel).await.unwrap(), Some(0));
}
