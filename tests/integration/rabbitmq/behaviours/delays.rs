//! Messages that come again, at once or later.

use std::time::{Duration, Instant};

use brighter::channel::{Broker, DeclareMode, Producer};
use brighter::transport::rabbitmq::__private::with_longest_delay;
use brighter_tests::rabbitmq::Raw;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

use super::Ground;
use crate::rabbitmq::{id, message, next};

on_both_queue_types!(
    requeuing_a_failed_message_should_receive_message_again,
    reading_a_delayed_message_via_the_messaging_gateway,
    nothing_is_stuck_behind_a_longer_delay,
    a_delay_queue_that_may_not_be_made_is_made_up_for,
    a_delay_longer_than_the_broker_keeps_is_waited_for_in_parts,
);

async fn requeuing_a_failed_message_should_receive_message_again(ground: Ground) {
    let broker = ground.corner.connect().await;
    let mut consumer = broker.consume(&ground.channel("again", "topic")).await.unwrap();
    let sent = message("topic");
    broker.publish(&sent).await.unwrap();
    let failed = next(&mut consumer).await;
    failed.requeue(Duration::ZERO, true).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(id(&delivery), sent.header.id);
    assert_eq!(delivery.message().unwrap().header.handled_count, 1);
    // A copy is a new message to the broker.
    assert_eq!(delivery.redeliveries(), 0);
    delivery.ack().await.unwrap();
}

async fn reading_a_delayed_message_via_the_messaging_gateway(ground: Ground) {
    let broker = ground.corner.connect().await;
    let channel = ground.channel("delayed", "topic");
    let bystander = ground.channel("bystander", "topic");
    ground.corner.queue("delayed.delay.250");
    drop(broker.consume(&bystander).await.unwrap());
    let mut consumer = broker.consume(&channel).await.unwrap();
    let sent = message("topic");
    broker.publish(&sent).await.unwrap();
    let delay = Duration::from_millis(250);
    let asked = Instant::now();
    next(&mut consumer).await.requeue(delay, true).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert!(asked.elapsed() >= delay, "{:?}", asked.elapsed());
    assert_eq!(id(&delivery), sent.header.id);
    delivery.ack().await.unwrap();
    // Others got what was posted, and no copy of the retry.
    assert_eq!(broker.depth(&bystander).await.unwrap(), Some(1));
}

async fn nothing_is_stuck_behind_a_longer_delay(ground: Ground) {
    let broker = ground.corner.connect().await;
    let channel = ground.channel("overtaking", "topic");
    let delays = [600_000, 50].map(Duration::from_millis);
    for delay in ["600000", "50"] {
        ground.corner.queue(&format!("overtaking.delay.{delay}"));
    }
    let mut consumer = broker.consume(&channel).await.unwrap();
    let sent = [message("topic"), message("topic")];
    for (message, delay) in sent.iter().zip(delays) {
        broker.publish(message).await.unwrap();
        next(&mut consumer).await.requeue(delay, true).await.unwrap();
    }
    let delivery = next(&mut consumer).await;
    assert_eq!(id(&delivery), sent[1].header.id);
    delivery.ack().await.unwrap();
    let long = format!("{}.delay.600000", channel.name);
    assert_eq!(Raw::connect().await.depth(&long).await, 1);
}

/// The longest that the broker keeps is 48 days, and here 60 ms. The message is in nobody's hands meanwhile, so it also
/// outlives the process that had it.
async fn a_delay_longer_than_the_broker_keeps_is_waited_for_in_parts(ground: Ground) {
    const LONGEST: u64 = 60;
    let connect = || async {
        let builder = ground.corner.builder();
        with_longest_delay(builder, Duration::from_millis(LONGEST))
            .connect()
            .await
            .unwrap()
    };
    let channel = ground.channel("parts", "topic");
    for part in 1..=LONGEST {
        ground.corner.queue(&format!("parts.delay.{part}"));
    }
    let broker = connect().await;
    let mut consumer = broker.consume(&channel).await.unwrap();
    let mut sent = message("topic");
    sent.header.bag.insert("tenant", "north");
    broker.publish(&sent).await.unwrap();
    let delay = Duration::from_millis(3 * LONGEST + 20);
    let asked = Instant::now();
    next(&mut consumer).await.requeue(delay, true).await.unwrap();
    drop(consumer);
    broker.close().await;

    let broker = connect().await;
    let mut consumer = broker.consume(&channel).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert!(asked.elapsed() >= delay, "{:?}", asked.elapsed());
    let header = &delivery.message().unwrap().header;
    assert_eq!((&header.id, header.handled_count), (&sent.header.id, 1));
    assert_eq!(header.bag, sent.header.bag);
    // The next time it waits for no longer than it is told.
    delivery.requeue(Duration::ZERO, true).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(delivery.message().unwrap().header.handled_count, 2);
    delivery.ack().await.unwrap();
    broker.close().await;
    Raw::connect().await.until_depth(channel.name.as_str(), 0).await;
}

/// Where the consumer makes nothing, a message waits in hand rather than come again at once forever.
async fn a_delay_queue_that_may_not_be_made_is_made_up_for(ground: Ground) {
    let broker = ground.corner.connect().await;
    let made = ground.channel("in-hand", "topic");
    drop(broker.consume(&made).await.unwrap());
    let delay = Duration::from_millis(120);
    for mode in [DeclareMode::Validate, DeclareMode::Assume] {
        let mut channel = made.clone();
        channel.declare = mode;
        let mut consumer = broker.consume(&channel).await.unwrap();
        broker.publish(&message("topic")).await.unwrap();
        for count in 1..=2 {
            let asked = Instant::now();
            next(&mut consumer).await.requeue(delay, true).await.unwrap();
            let waited = asked.elapsed();
            assert!(waited >= delay, "{waited:?}");
            let delivery = next(&mut consumer).await;
            assert_eq!(delivery.message().unwrap().header.handled_count, count);
            drop(delivery);
        }
        next(&mut consumer).await.ack().await.unwrap();
    }
    let queue = broker.topology(&made).unwrap().delay_queue(delay).unwrap().name;
    let looked = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let raw = Raw::connect().await;
    let found = raw
        .channel
        .queue_declare(queue.into(), looked, FieldTable::default());
    assert!(found.await.is_err(), "nothing was made");
}
