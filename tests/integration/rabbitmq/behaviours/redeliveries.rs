//! How often a message was delivered without being settled: what counts, and what does not.

use std::time::Duration;

use brighter::RabbitMq;
use brighter::channel::{Broker, Channel, Consumer, Producer};
use brighter_tests::rabbitmq::{Raw, counts_releases, version};
use brighter_tests::wait::DEADLINE;
use lapin::BasicProperties;
use lapin::options::BasicGetOptions;
use lapin::types::{AMQPValue, FieldTable};
use tokio::time::{sleep, timeout};

use super::Ground;
use crate::rabbitmq::{id, message, next, with_buffer};

on_both_queue_types!(
    a_death_counts_also_for_a_queue_that_does_not_count,
    a_suspect_that_is_given_back_counts_no_further,
    our_count_is_believed_of_copies_alone,
    where_order_is_kept_no_copies_are_made,
    closing_waits_until_suspects_are_given_back_uncounted,
);

const SUSPECT: u32 = 3;

fn watched(ground: &Ground, name: &str) -> Channel {
    let mut channel = with_buffer(ground.channel(name, name), 1);
    channel.suspect_after = Some(SUSPECT);
    channel
}

async fn with_one(broker: &RabbitMq, channel: &Channel) -> String {
    broker.declare(channel).await.unwrap();
    let sent = message(channel.routing_keys[0].as_str());
    broker.publish(&sent).await.unwrap();
    sent.header.id.to_string()
}

/// A client takes a message, and its connection ends.
async fn die_with_one(channel: &Channel) {
    let raw = Raw::connect().await;
    let took = timeout(DEADLINE, async {
        let options = BasicGetOptions { no_ack: false };
        let queue = channel.name.as_str();
        while raw
            .channel
            .basic_get(queue.into(), options)
            .await
            .unwrap()
            .is_none()
        {
            sleep(Duration::from_millis(10)).await;
        }
    });
    took.await.expect("there is a message");
    raw.connection.close(200, "died".into()).await.unwrap();
}

/// How often the next message was delivered before, as a process is told whose connection ends with it in hand.
async fn told_to_one_that_dies(ground: &Ground, channel: &Channel) -> u32 {
    let dying = ground.corner.connect().await;
    let mut consumer = dying.consume(channel).await.unwrap();
    let delivery = next(&mut consumer).await;
    dying.close().await;
    delivery.redeliveries()
}

/// How often the next message was delivered before. It is given back.
async fn redeliveries(consumer: &mut Consumer) -> u32 {
    let delivery = next(consumer).await;
    let times = delivery.redeliveries();
    delivery.release();
    times
}

/// How often the only message was delivered before. It is acked.
async fn told(broker: &RabbitMq, channel: &Channel) -> u32 {
    let mut consumer = broker.consume(channel).await.unwrap();
    let delivery = next(&mut consumer).await;
    let times = delivery.redeliveries();
    delivery.ack().await.unwrap();
    consumer.close().await.unwrap();
    times
}

async fn a_death_counts_also_for_a_queue_that_does_not_count(ground: Ground) {
    let broker = ground.corner.connect().await;
    let channel = watched(&ground, "deaths");
    let sent = with_one(&broker, &channel).await;
    die_with_one(&channel).await;
    let mut consumer = broker.consume(&channel).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(
        (id(&delivery).to_string(), delivery.redeliveries()),
        (sent.clone(), 1)
    );
    // Given back by a consumer that lives it counts as well, up to where it is a suspect.
    delivery.release();
    if !ground.is_quorum() || counts_releases() {
        for times in [2, 3, 3] {
            assert_eq!(redeliveries(&mut consumer).await, times);
        }
    }
    let delivery = next(&mut consumer).await;
    let times = delivery.redeliveries();
    delivery.release();
    consumer.close().await.unwrap();
    broker.flush().await.unwrap();
    die_with_one(&channel).await;
    let mut consumer = broker.consume(&channel).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(
        (id(&delivery).to_string(), delivery.redeliveries()),
        (sent, times + 1)
    );
    assert_eq!(delivery.message().unwrap().header.topic, "deaths");
    delivery.ack().await.unwrap();
    consumer.close().await.unwrap();
    assert_eq!(broker.depth(&channel).await.unwrap(), Some(0));
}

async fn a_suspect_that_is_given_back_counts_no_further(ground: Ground) {
    let broker = ground.corner.connect().await;
    let channel = watched(&ground, "suspect");
    let sent = with_one(&broker, &channel).await;
    for times in 0..SUSPECT {
        assert_eq!(told_to_one_that_dies(&ground, &channel).await, times);
    }
    let mut consumer = broker.consume(&channel).await.unwrap();
    for _ in 0..30 {
        assert_eq!(redeliveries(&mut consumer).await, SUSPECT);
    }
    consumer.close().await.unwrap();
    for died in 1..=3 {
        die_with_one(&channel).await;
        let mut consumer = broker.consume(&channel).await.unwrap();
        assert_eq!(
            redeliveries(&mut consumer).await,
            SUSPECT + died,
            "a death counts"
        );
        assert_eq!(
            redeliveries(&mut consumer).await,
            SUSPECT + died,
            "what is given back does not"
        );
        consumer.close().await.unwrap();
        broker.flush().await.unwrap();
    }
    let mut consumer = broker.consume(&channel).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(id(&delivery).to_string(), sent);
    // A retry is another message to the broker, and to us.
    delivery.requeue(Duration::ZERO, true).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(delivery.redeliveries(), 0);
    delivery.ack().await.unwrap();
    consumer.close().await.unwrap();
    assert_eq!(broker.depth(&channel).await.unwrap(), Some(0));
}

async fn our_count_is_believed_of_copies_alone(ground: Ground) {
    let broker = ground.corner.connect().await;
    let channel = watched(&ground, "forged");
    broker.declare(&channel).await.unwrap();
    let raw = Raw::connect().await;
    let forged = || {
        let mut headers = FieldTable::default();
        headers.insert("x-brighter-redeliveries".into(), AMQPValue::LongLongInt(1000));
        BasicProperties::default().with_headers(headers)
    };
    raw.publish(&ground.corner.exchange(), "forged", forged(), b"{}")
        .await;
    assert_eq!(told(&broker, &channel).await, 0, "by the exchange");
    // A sender that may write straight to the queue decides about its own message.
    raw.put(channel.name.as_str(), forged(), b"{}").await;
    assert_eq!(told(&broker, &channel).await, 1000);
}

async fn where_order_is_kept_no_copies_are_made(ground: Ground) {
    let broker = ground.corner.connect().await;
    let mut channel = watched(&ground, "ordered");
    channel.limits.single_active_consumer = true;
    let first = with_one(&broker, &channel).await;
    broker.publish(&message("ordered")).await.unwrap();
    for times in 0..=SUSPECT {
        let counted = if ground.is_quorum() { times } else { 0 };
        assert_eq!(told_to_one_that_dies(&ground, &channel).await, counted);
    }
    let mut consumer = broker.consume(&channel).await.unwrap();
    for times in 0..2 {
        // Without a delivery limit, which 4.0 has by default, a quorum queue puts what is given back at its end.
        if times > 0 && ground.is_quorum() && version() < (4, 0) {
            break;
        }
        let delivery = next(&mut consumer).await;
        assert_eq!(id(&delivery).to_string(), first, "it keeps its place");
        let given_back = if counts_releases() { times } else { 0 };
        let counted = if ground.is_quorum() {
            SUSPECT + 1 + given_back
        } else {
            0
        };
        assert_eq!(delivery.redeliveries(), counted);
        delivery.release();
    }
}

async fn closing_waits_until_suspects_are_given_back_uncounted(ground: Ground) {
    let channel = watched(&ground, "closing");
    let broker = ground.corner.connect().await;
    with_one(&broker, &channel).await;
    for times in 0..SUSPECT {
        assert_eq!(told_to_one_that_dies(&ground, &channel).await, times);
    }
    for _ in 0..5 {
        let broker = ground.corner.connect().await;
        let mut consumer = broker.consume(&channel).await.unwrap();
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.redeliveries(), SUSPECT);
        drop(delivery);
        drop(consumer);
        broker.close().await;
    }
}
