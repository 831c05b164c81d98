//! What a channel may hold, and for how long.

use std::collections::HashSet;
use std::time::Duration;

use brighter::channel::{Broker, Overflow, Producer, PublishError, SettleError};
use brighter_tests::rabbitmq::{Raw, ctl};
use brighter_tests::wait::deadline;
use tokio::time::timeout;

use super::Ground;
use crate::rabbitmq::{id, message, next, with_buffer};

on_both_queue_types!(
    queue_length_causes_a_message_to_be_rejected,
    queue_length_may_set_the_oldest_aside,
    ttl_causes_a_message_to_expire,
    a_retry_into_a_full_queue_is_kept,
    one_of_several_consumers_is_active_and_another_takes_over,
    priorities_go_first_on_classic_queues,
);

/// A quorum queue may take one or two more than its length, as it decides while others are on their way.
async fn queue_length_causes_a_message_to_be_rejected(ground: Ground) {
    let broker = ground.corner.connect().await;
    let mut channel = ground.channel("full", "topic");
    channel.limits.length = Some(1);
    drop(broker.consume(&channel).await.unwrap());
    let refused = timeout(deadline(), async {
        loop {
            if let Err(error) = broker.publish(&message("topic")).await {
                return error;
            }
        }
    });
    let refused = refused.await.expect("full in time");
    assert!(
        matches!(&refused, PublishError::Refused { reason } if reason.contains("full")),
        "{refused:?}"
    );
}

async fn queue_length_may_set_the_oldest_aside(ground: Ground) {
    let broker = ground.corner.connect().await;
    let mut channel = ground.channel("rolling", "topic");
    channel.limits.length = Some(1);
    channel.limits.overflow = Overflow::DeadLetterOldest;
    drop(broker.consume(&channel).await.unwrap());
    let sent = [message("topic"), message("topic")];
    for message in &sent {
        broker.publish(message).await.unwrap();
    }
    let oldest = Raw::connect().await.take(channel.dead_letters.as_str()).await;
    let id = oldest.properties.message_id().as_ref().unwrap().as_str();
    assert_eq!(id, sent[0].header.id.to_string());
}

async fn ttl_causes_a_message_to_expire(ground: Ground) {
    let broker = ground.corner.connect().await;
    let mut channel = ground.channel("expiring", "topic");
    channel.limits.time_to_live = Some(Duration::from_millis(100));
    drop(broker.consume(&channel).await.unwrap());
    let sent = message("topic");
    broker.publish(&sent).await.unwrap();
    let found = Raw::connect().await.take(channel.dead_letters.as_str()).await;
    assert_eq!(found.data, sent.body.as_bytes());
    assert_eq!(broker.depth(&channel).await.unwrap(), Some(0));
}

/// A copy that comes out of its delay finds the queue full: the broker keeps it, and tries again after three
/// minutes, which this does not wait for.
async fn a_retry_into_a_full_queue_is_kept(ground: Ground) {
    let broker = ground.corner.connect().await;
    let mut channel = with_buffer(ground.channel("no-room", "topic"), 1);
    channel.limits.length = Some(1);
    let delay = ground.corner.queue("no-room.delay.10");
    let mut consumer = broker.consume(&channel).await.unwrap();
    broker.publish(&message("topic")).await.unwrap();
    let first = next(&mut consumer).await;
    first.requeue(Duration::from_millis(10), true).await.unwrap();
    let _held = next(&mut consumer).await;
    until_full(&broker).await;
    let raw = Raw::connect().await;
    let aside = raw.depth(channel.dead_letters.as_str()).await;
    // As a retry does, whose original would make room as it goes.
    raw.put(&delay, lapin::BasicProperties::default(), b"{}").await;
    // RabbitMQ 3.10 has no `member_overview`, and 4.3 takes no function to ask by.
    let looking = format!(
        "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{delay}\">>)), \
         case erlang:function_exported(ra, member_overview, 1) of \
             true -> ra:member_overview(amqqueue:get_pid(Q)); \
             false -> ra:local_query(amqqueue:get_pid(Q), fun rabbit_fifo:overview/1) end."
    );
    let kept = timeout(deadline(), async {
        // Its time is up, and nobody has confirmed it.
        while !ctl(&["eval", &looking])
            .await
            .contains("num_discard_checked_out => 1")
        {}
    });
    kept.await.expect("its time is up and it is kept");
    assert_eq!(raw.depth(channel.dead_letters.as_str()).await, aside);
}

/// Publishes until the broker refuses a message.
async fn until_full(broker: &brighter::RabbitMq) {
    let filled = timeout(deadline(), async {
        while broker.publish(&message("topic")).await.is_ok() {}
    });
    filled.await.expect("full in time");
}

/// B07.
async fn one_of_several_consumers_is_active_and_another_takes_over(ground: Ground) {
    let corner = &ground.corner;
    let (one, other) = (corner.connect().await, corner.connect().await);
    let mut channel = with_buffer(ground.channel("single", "topic"), 1);
    channel.limits.single_active_consumer = true;
    let mut active = one.consume(&channel).await.unwrap();
    let mut standby = other.consume(&channel).await.unwrap();
    let sent: Vec<_> = (0..3).map(|_| message("topic")).collect();
    for message in &sent {
        one.publish(message).await.unwrap();
    }
    // The active one holds one, and the other two wait although the standby has nothing to do.
    let held = next(&mut active).await;
    assert_eq!(id(&held), sent[0].header.id);
    Raw::connect().await.until_depth(channel.name.as_str(), 2).await;
    // It dies with what it holds.
    drop(active);
    one.close().await;
    assert!(matches!(held.ack().await, Err(SettleError::Stale)));
    let mut came = HashSet::new();
    while came.len() < sent.len() {
        let delivery = next(&mut standby).await;
        came.insert(id(&delivery));
        delivery.ack().await.unwrap();
    }
    assert_eq!(came, sent.into_iter().map(|message| message.header.id).collect());
}

async fn priorities_go_first_on_classic_queues(ground: Ground) {
    let broker = ground.corner.connect().await;
    let mut channel = with_buffer(ground.channel("priorities", "topic"), 1);
    channel.limits.priorities = Some(9);
    if ground.is_quorum() {
        let refused = broker.consume(&channel).await.unwrap_err();
        assert!(refused.to_string().contains("classic queue"), "{refused}");
        return;
    }
    drop(broker.consume(&channel).await.unwrap());
    let raw = Raw::connect().await;
    for priority in [0, 9] {
        let properties = lapin::BasicProperties::default()
            .with_message_id(format!("of-{priority}").into())
            .with_priority(priority);
        raw.put(channel.name.as_str(), properties, b"{}").await;
    }
    raw.until_depth(channel.name.as_str(), 2).await;
    let mut consumer = broker.consume(&channel).await.unwrap();
    for expected in ["of-9", "of-0"] {
        let delivery = next(&mut consumer).await;
        assert_eq!(id(&delivery).to_string(), expected);
        delivery.ack().await.unwrap();
    }
}
