//! Who makes the queues, and what becomes of it when nobody does.

use brighter::channel::{Broker, Channel, ChannelError, DeclareMode, Producer, QueueType};
use brighter_tests::rabbitmq::Raw;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};

use super::Ground;
use crate::rabbitmq::{id, message, next};

on_both_queue_types!(
    infrastructure_missing_and_validate_channel_should_fail,
    infrastructure_missing_and_assume_channel_should_fail,
    infrastructure_exists_can_validate,
    infrastructure_exists_can_assume,
    creating_quorum_queue_validation,
    a_queue_in_another_form_is_refused_with_both_forms_and_the_fix,
);

fn made_by(mode: DeclareMode, channel: &Channel) -> Channel {
    let mut channel = channel.clone();
    channel.declare = mode;
    channel
}

fn refused(result: Result<brighter::channel::Consumer, ChannelError>) -> String {
    match result.unwrap_err() {
        ChannelError::Refused { reason } => reason,
        other => panic!("{other:?}"),
    }
}

async fn infrastructure_missing_and_validate_channel_should_fail(ground: Ground) {
    let broker = ground.corner.connect().await;
    let channel = ground.channel("missing", "topic");
    let looked_at = made_by(DeclareMode::Validate, &channel);
    let reason = refused(broker.consume(&looked_at).await);
    // All that is missing is told at once.
    for name in [&channel.name, &channel.dead_letters, &channel.invalid_messages] {
        assert!(reason.contains(&format!("queue `{name}`")), "{reason}");
    }
    assert!(!reason.contains(&ground.corner.exchange()), "{reason}");
    assert!(reason.contains("DeclareMode::Create"), "{reason}");
    // Nothing was made by looking.
    refused(broker.consume(&looked_at).await);
}

async fn infrastructure_missing_and_assume_channel_should_fail(ground: Ground) {
    let broker = ground.corner.connect().await;
    let channel = made_by(DeclareMode::Assume, &ground.channel("assumed", "topic"));
    let reason = refused(broker.consume(&channel).await);
    assert!(reason.contains(channel.name.as_str()), "{reason}");
    assert!(reason.contains("DeclareMode::Create"), "{reason}");
}

async fn exists_and_is_consumed(ground: Ground, mode: DeclareMode) {
    let broker = ground.corner.connect().await;
    let channel = ground.channel("exists", "topic");
    drop(broker.consume(&channel).await.unwrap());
    let mut consumer = broker.consume(&made_by(mode, &channel)).await.unwrap();
    let sent = message("topic");
    broker.publish(&sent).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(id(&delivery), sent.header.id);
    delivery.ack().await.unwrap();
}

async fn infrastructure_exists_can_validate(ground: Ground) {
    exists_and_is_consumed(ground, DeclareMode::Validate).await;
}

async fn infrastructure_exists_can_assume(ground: Ground) {
    exists_and_is_consumed(ground, DeclareMode::Assume).await;
}

/// Declared again by somebody else as what it should be, it is the same to the broker; as the other, it is not.
async fn creating_quorum_queue_validation(ground: Ground) {
    let broker = ground.corner.connect().await;
    let channel = ground.channel("typed", "topic");
    drop(broker.consume(&channel).await.unwrap());
    for queue in [&channel.dead_letters, &channel.invalid_messages] {
        let raw = Raw::connect().await;
        let right = if ground.is_quorum() { "quorum" } else { "classic" };
        declare(&raw, queue.as_str(), right).await.unwrap();
        let wrong = if ground.is_quorum() { "classic" } else { "quorum" };
        declare(&raw, queue.as_str(), wrong).await.unwrap_err();
    }
}

async fn declare(raw: &Raw, queue: &str, queue_type: &str) -> lapin::Result<lapin::Queue> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString(queue_type.into()));
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    raw.channel.queue_declare(queue.into(), durable, arguments).await
}

async fn a_queue_in_another_form_is_refused_with_both_forms_and_the_fix(ground: Ground) {
    let broker = ground.corner.connect().await;
    let channel = ground.channel("mismatch", "topic");
    drop(broker.consume(&channel).await.unwrap());
    let mut other = channel.clone();
    other.queue_type = Some(match ground.queue_type {
        QueueType::Quorum => QueueType::Classic,
        _ => QueueType::Quorum,
    });
    let reason = refused(broker.consume(&other).await);
    // Ours, the broker's words of both, and what to do. It is the first of the queues that does not fit.
    for part in [
        channel.dead_letters.as_str(),
        "x-queue-type",
        "quorum",
        "classic",
        "delete it",
    ] {
        assert!(reason.contains(part), "{reason}");
    }
    let mut limited = channel.clone();
    limited.limits.length = Some(7);
    let reason = refused(broker.consume(&limited).await);
    for part in [channel.name.as_str(), "x-max-length 7", "current", "delete it"] {
        assert!(reason.contains(part), "{reason}");
    }
    // Others are not concerned.
    drop(broker.consume(&ground.channel("fine", "topic")).await.unwrap());
}
