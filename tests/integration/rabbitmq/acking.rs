//! Acknowledgements that are written together, and what must come of that: nothing.

use std::collections::HashSet;

use brighter::channel::{Broker, Delivery, Producer};
use brighter_tests::rabbitmq::{Corner, Raw};
use brighter_tests::wait::until_eq;

use super::{id, message, next, with_buffer};

/// B03: the 50th is done and 1 to 49 are not when the connection goes: they come again, and it does not.
#[tokio::test]
async fn an_ack_never_passes_a_message_that_is_not_done() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = with_buffer(corner.channel("holes", "topic"), 50);
    let mut consumer = broker.consume(&channel).await.unwrap();
    let sent: Vec<_> = (0..50).map(|_| message("topic")).collect();
    for message in &sent {
        broker.publish(message).await.unwrap();
    }
    let mut held: Vec<Delivery> = Vec::new();
    for _ in &sent {
        held.push(next(&mut consumer).await);
    }
    held.pop().unwrap().ack().await.unwrap();
    // An acknowledgement waits for no other settling to be written.
    let raw = Raw::connect().await;
    raw.until_unsettled(channel.name.as_str(), 49).await;
    corner.close_connection("consumer").await;
    raw.until_depth(channel.name.as_str(), 49).await;
    drop(held);
}

/// Each message is settled in another way or order than the one before it, and exactly those that were acked
/// are gone.
#[tokio::test]
async fn out_of_order_acks_hold_and_the_rest_returns() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = with_buffer(corner.channel("mixed", "topic"), 200);
    let mut consumer = broker.consume(&channel).await.unwrap();
    let sent: Vec<_> = (0..120).map(|_| message("topic")).collect();
    for message in &sent {
        broker.publish(message).await.unwrap();
    }
    let mut held = Vec::new();
    for _ in &sent {
        held.push(next(&mut consumer).await);
    }
    drop(consumer);
    // Backwards and by threes: settled are 0, 3, 6 …; given back 1, 4, 7 …; held are 2, 5, 8 ….
    let mut kept = Vec::new();
    for (number, delivery) in held.into_iter().enumerate().rev() {
        match number % 3 {
            0 => delivery.ack().await.unwrap(),
            1 => delivery.release(),
            _ => kept.push(delivery),
        }
    }
    let raw = Raw::connect().await;
    raw.until_depth(channel.name.as_str(), 40).await;
    raw.until_unsettled(channel.name.as_str(), 40).await;
    drop(kept);
    raw.until_depth(channel.name.as_str(), 80).await;

    let mut again = broker.consume(&channel).await.unwrap();
    let mut came = HashSet::new();
    for _ in 0..80 {
        let delivery = next(&mut again).await;
        came.insert(id(&delivery));
        delivery.ack().await.unwrap();
    }
    let numbered = sent.iter().enumerate();
    let expected = numbered.filter(|(number, _)| number % 3 != 0);
    assert_eq!(
        came,
        expected.map(|(_, message)| message.header.id.clone()).collect()
    );
}

#[tokio::test]
async fn acks_just_before_closing_are_settled() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = with_buffer(corner.channel("closing", "topic"), 200);
    let mut consumer = broker.consume(&channel).await.unwrap();
    for _ in 0..10 {
        broker.publish(&message("topic")).await.unwrap();
    }
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(next(&mut consumer).await);
    }
    let first = held.remove(0);
    for delivery in held {
        delivery.ack().await.unwrap();
    }
    broker.close().await;
    drop(first);
    Raw::connect().await.until_depth(channel.name.as_str(), 1).await;
}

/// The consumer has gone before, so that the last of its deliveries takes the channel with it, at once.
#[tokio::test]
async fn acks_just_before_a_drop_are_settled() {
    let corner = Corner::new();
    let raw = Raw::connect().await;
    for round in 0..4 {
        let broker = corner.connect().await;
        let channel = with_buffer(corner.channel(&format!("dropped-{round}"), "topic"), 200);
        let mut consumer = broker.consume(&channel).await.unwrap();
        for _ in 0..10 {
            broker.publish(&message("topic")).await.unwrap();
        }
        let mut held = Vec::new();
        for _ in 0..10 {
            held.push(next(&mut consumer).await);
        }
        drop(consumer);
        until_eq("consumers", 0, || broker.consumers().len()).await;
        // Not in their order, so that some wait behind one that is not done.
        held.swap(0, 5);
        for delivery in held {
            delivery.ack().await.unwrap();
        }
        drop(broker);
        raw.until_unsettled(channel.name.as_str(), 0).await;
        assert_eq!(raw.depth(channel.name.as_str()).await, 0, "round {round}");
    }
}

#[tokio::test]
async fn the_live_consumers_are_known() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let names = || {
        let consumers = broker.consumers().into_iter();
        consumers
            .map(|consumer| consumer.channel.to_string())
            .collect::<Vec<_>>()
    };
    let channel = corner.channel("alive", "topic");
    let mut consumer = broker.consume(&channel).await.unwrap();
    assert_eq!(names(), [channel.name.to_string()]);
    broker.publish(&message("topic")).await.unwrap();
    let held = next(&mut consumer).await;
    drop(consumer);
    // What it brought is there still, and it is not.
    assert_eq!(names(), Vec::<String>::new());
    drop(held);
    let _again = broker.consume(&channel).await.unwrap();
    assert_eq!(names().len(), 1);
    corner.close_connection("consumer").await;
    // Nobody has asked it for a message, so nobody was told.
    until_eq("no consumers", 0, || broker.consumers().len()).await;
}
