//! Settling: retries that come back to one channel alone, and messages that are set aside whole.

use std::time::{Duration, Instant};

use brighter::channel::{Broker, Producer, PublishError, Rejection, RejectionKind, SettleError};
use brighter_tests::rabbitmq::{Corner, Raw};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldArray, FieldTable};

use super::{id, message, next};

#[tokio::test]
async fn a_retry_returns_delayed_counted_to_its_channel() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("retrying", "topic");
    let other = corner.channel("other", "topic");
    for delay in ["delay.210", "delay.350"] {
        corner.queue(&format!("retrying.{delay}"));
    }
    drop(broker.consume(&other).await.unwrap());
    let mut consumer = broker.consume(&channel).await.unwrap();
    let mut sent = message("topic");
    sent.header.bag.insert("tenant", "north");
    broker.publish(&sent).await.unwrap();

    for (round, asked) in [(1, 350), (2, 201)] {
        let begun = Instant::now();
        let delay = Duration::from_millis(asked);
        next(&mut consumer).await.requeue(delay, true).await.unwrap();
        let delivery = next(&mut consumer).await;
        assert!(begun.elapsed() >= delay, "{:?}", begun.elapsed());
        let mut expected = sent.clone();
        expected.header.handled_count = round;
        expected.header.timestamp = delivery.message().unwrap().header.timestamp;
        assert_eq!(delivery.message().unwrap(), &expected);
        drop(delivery);
    }
    // At once, and uncounted.
    next(&mut consumer)
        .await
        .requeue(Duration::ZERO, false)
        .await
        .unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(delivery.message().unwrap().header.handled_count, 2);
    delivery.ack().await.unwrap();

    let raw = Raw::connect().await;
    drop(consumer);
    broker.close().await;
    raw.until_depth(channel.name.as_str(), 0).await;
    assert_eq!(raw.depth(other.name.as_str()).await, 1);
}

#[tokio::test]
async fn rejected_messages_are_whole_and_have_a_reason() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("aside", "topic");
    let mut consumer = broker.consume(&channel).await.unwrap();
    let raw = Raw::connect().await;
    let list = AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::LongInt(1)]));
    let mut headers = FieldTable::default();
    headers.insert("MessageType".into(), AMQPValue::LongString("MT_COMMAND".into()));
    headers.insert("Topic".into(), AMQPValue::LongString("topic".into()));
    headers.insert("list".into(), list.clone());
    let properties = BasicProperties::default()
        .with_headers(headers)
        .with_content_type("text/plain".into())
        .with_reply_to("answers".into())
        .with_user_id("guest".into())
        .with_expiration("60000".into());
    let body = b"\xff not text";

    for (kind, queue, reason) in [
        (RejectionKind::DeadLetter, &channel.dead_letters, "DeliveryError"),
        (RejectionKind::Invalid, &channel.invalid_messages, "Unacceptable"),
    ] {
        raw.put(channel.name.as_str(), properties.clone(), body).await;
        let rejection = Rejection::new(kind, "the gateway said: nö");
        next(&mut consumer).await.reject(rejection).await.unwrap();
        let found = raw.take(queue.as_str()).await;
        assert_eq!(found.data, body);
        assert_eq!(
            found.properties.content_type().as_ref().unwrap().as_str(),
            "text/plain"
        );
        assert_eq!(found.properties.reply_to().as_ref().unwrap().as_str(), "answers");
        assert_eq!(*found.properties.delivery_mode(), Some(2));
        assert!(found.properties.expiration().is_none());
        let headers = found.properties.headers().as_ref().unwrap().inner();
        for (name, value) in [
            ("originalTopic", "topic"),
            ("originalMessageType", "MT_COMMAND"),
            ("rejectionReason", reason),
            ("rejectionMessage", "the gateway said: nö"),
        ] {
            assert_eq!(
                headers.get(name),
                Some(&AMQPValue::LongString(value.into())),
                "{name}"
            );
        }
        assert!(headers.contains_key("rejectionTimestamp"));
        assert_eq!(headers.get("list"), Some(&list));
    }
    broker.close().await;
    raw.until_depth(channel.name.as_str(), 0).await;
}

#[tokio::test]
async fn when_the_copy_has_nowhere_to_go_the_original_stays() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("stuck", "topic");
    corner.queue("stuck.delay.10000");
    let mut consumer = broker.consume(&channel).await.unwrap();
    let raw = Raw::connect().await;
    let sent = message("topic");
    broker.publish(&sent).await.unwrap();
    raw.channel
        .queue_delete(channel.dead_letters.as_str().into(), Default::default())
        .await
        .unwrap();

    let rejection = Rejection::new(RejectionKind::DeadLetter, "no");
    let failed = next(&mut consumer).await.reject(rejection).await.unwrap_err();
    assert!(
        matches!(failed, SettleError::NotMoved(PublishError::Unroutable { .. })),
        "{failed:?}"
    );
    let delivery = next(&mut consumer).await;
    assert_eq!(id(&delivery), sent.header.id);
    // A delay queue that somebody deletes is declared again.
    delivery.requeue(Duration::from_secs(10), true).await.unwrap();
    let delay = format!("{}.delay.10000", channel.name);
    assert_eq!(raw.depth(&delay).await, 1);
    raw.channel
        .queue_delete(delay.as_str().into(), Default::default())
        .await
        .unwrap();
    broker.publish(&sent).await.unwrap();
    next(&mut consumer)
        .await
        .requeue(Duration::from_secs(10), true)
        .await
        .unwrap();
    assert_eq!(raw.depth(&delay).await, 1);
}

/// Headers that fill their frame leave no room for a reason, nor for what a retry notes.
#[tokio::test]
async fn full_headers_do_not_keep_a_message_queued() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("full", "topic");
    let mut consumer = broker.consume(&channel).await.unwrap();
    let raw = Raw::connect().await;
    let frame = usize::try_from(raw.connection.configuration().frame_max()).unwrap();
    let large = AMQPValue::LongString("x".repeat(frame - 200).into());
    for again in [true, false] {
        let mut headers = FieldTable::default();
        headers.insert("large".into(), large.clone());
        headers.insert("small".into(), AMQPValue::LongInt(1));
        let properties = BasicProperties::default().with_headers(headers);
        raw.put(channel.name.as_str(), properties, b"as it came").await;
        let delivery = next(&mut consumer).await;
        if again {
            delivery.requeue(Duration::ZERO, true).await.unwrap();
        } else {
            let rejection = Rejection::new(RejectionKind::DeadLetter, "no");
            delivery.reject(rejection).await.unwrap();
        }
        let dead = raw.take(channel.dead_letters.as_str()).await;
        assert_eq!(dead.data, b"as it came");
        let headers = dead.properties.headers().as_ref().unwrap().inner();
        assert!(headers.contains_key("small") && !headers.contains_key("large"));
        let said = headers["rejectionMessage"].as_long_string().unwrap().to_string();
        assert!(said.ends_with("left out for want of room: [\"large\"]"), "{said}");
        assert_eq!(said.contains("cannot be sent again"), again);
    }
}
