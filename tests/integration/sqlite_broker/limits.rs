//! What a channel may hold, and for how long.

use std::time::Duration;

use brighter::channel::{Broker, Channel, Overflow, Producer, PublishError, Rejection};

use super::{Place, channel, id, next, numbered, publish, until_depth, until_there};

fn ids(messages: &[brighter::Message]) -> Vec<String> {
    messages
        .iter()
        .map(|message| message.header.id.to_string())
        .collect()
}

#[tokio::test]
async fn a_full_channel_refuses_one_more_and_says_which() {
    let place = Place::new();
    let broker = place.open().await;
    let channel = channel(|it| it.limits.length = Some(2));
    broker.declare(&channel).await.unwrap();
    // It keeps no other from its copy.
    let beside = Channel::new("beside", "topic");
    broker.declare(&beside).await.unwrap();
    let messages: Vec<_> = (0..4).map(numbered).collect();
    let results = broker.publish_all(messages.iter().collect()).await;
    let refused = |result: &Result<(), PublishError>| matches!(result, Err(PublishError::ChannelFull { channel, waiting: 2, others: 1 }) if *channel == "c");
    assert!(results[..2].iter().all(Result::is_ok), "{results:?}");
    assert!(results[2..].iter().all(refused), "{results:?}");
    for (channel, depth) in [(&channel, 2), (&beside, 4)] {
        assert_eq!(broker.depth(channel).await.unwrap(), Some(depth));
    }
    let usages = broker.channels().await.unwrap();
    let full: Vec<_> = usages.iter().filter(|usage| usage.is_full()).collect();
    assert!(matches!(full[..], [usage] if usage.name == "c"), "{usages:?}");
    let mut consumer = broker.consume(&channel).await.unwrap();
    next(&mut consumer).await.ack().await.unwrap();
    broker.publish(&messages[2]).await.unwrap();
}

#[tokio::test]
async fn the_oldest_makes_room_as_a_dead_letter() {
    let place = Place::new();
    let broker = place.open().await;
    let channel = channel(|it| {
        it.limits.length = Some(2);
        it.limits.overflow = Overflow::DeadLetterOldest;
    });
    broker.declare(&channel).await.unwrap();
    publish(&broker, 0..4).await;
    assert_eq!(ids(&broker.messages("c", 10).await.unwrap()), ["2", "3"]);
    let aside = broker.messages("c.dlq", 10).await.unwrap();
    assert_eq!(ids(&aside), ["0", "1"]);
    let reason = Rejection::read(&aside[0].header).unwrap().rejection.reason;
    assert!(reason.contains("2 messages at most"), "{reason}");
}

#[tokio::test]
async fn expired_messages_are_dead_lettered_without_a_consumer() {
    let place = Place::new();
    let broker = place.open().await;
    let channel = channel(|it| it.limits.time_to_live = Some(Duration::from_millis(50)));
    broker.declare(&channel).await.unwrap();
    publish(&broker, [0]).await;
    let aside = until_there(&broker, "c.dlq").await;
    assert_eq!(ids(&aside), ["0"]);
    let reason = Rejection::read(&aside[0].header).unwrap().rejection.reason;
    assert!(reason.contains("longer than 50ms"), "{reason}");
    until_depth(&broker, &channel, 0).await;
}

#[tokio::test]
async fn messages_in_flight_expire_only_after_their_return() {
    let place = Place::new();
    let broker = place.open().await;
    let mut consumer = broker
        .consume(&channel(|it| {
            it.limits.time_to_live = Some(Duration::from_millis(100));
            it.buffer = 1.try_into().unwrap();
        }))
        .await
        .unwrap();
    publish(&broker, 0..2).await;
    let held = next(&mut consumer).await;
    // The other one has expired meanwhile, so the time of this one is over as well.
    assert_eq!(ids(&until_there(&broker, "c.dlq").await), ["1"]);
    drop(held);
    until_depth(&broker, &Channel::existing("c.dlq"), 2).await;
}

#[tokio::test]
async fn messages_delivered_too_often_are_dead_lettered() {
    let place = Place::new();
    let broker = place.open().await;
    let channel = channel(|it| it.limits.deliveries = Some(2));
    assert_eq!(broker.bounds(&channel).deliveries, Some(2));
    let mut consumer = broker.consume(&channel).await.unwrap();
    publish(&broker, [0]).await;
    for redeliveries in 0..2 {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.redeliveries(), redeliveries);
        drop(delivery);
    }
    let aside = until_there(&broker, "c.dlq").await;
    let reason = Rejection::read(&aside[0].header).unwrap().rejection.reason;
    assert!(reason.contains("delivered 2 times"), "{reason}");
}

/// It stays in its place, too.
#[tokio::test]
async fn a_suspect_that_is_given_back_counts_no_further() {
    let place = Place::new();
    let broker = place.open().await;
    let channel = channel(|it| it.suspect_after = Some(3));
    let mut consumer = broker.consume(&channel).await.unwrap();
    publish(&broker, [0]).await;
    for times in [0, 1, 2, 3, 3, 3] {
        let delivery = next(&mut consumer).await;
        assert_eq!(delivery.redeliveries(), times);
        delivery.release();
    }
    assert_eq!(next(&mut consumer).await.redeliveries(), 3);
}

#[tokio::test]
async fn one_of_several_consumers_is_active_and_another_takes_over() {
    let place = Place::new();
    let (one, other) = (place.open().await, place.open().await);
    let channel = channel(|it| {
        it.limits.single_active_consumer = true;
        it.buffer = 1.try_into().unwrap();
    });
    let mut active = one.consume(&channel).await.unwrap();
    publish(&one, 0..4).await;
    let held = next(&mut active).await;
    let mut beside = one.consume(&channel).await.unwrap();
    let mut standby = other.consume(&channel).await.unwrap();
    // The others have nothing, although three wait and they have room.
    until_depth(&other, &channel, 3).await;
    held.ack().await.unwrap();
    let held = next(&mut active).await;
    assert_eq!(id(&held), "1");
    until_depth(&other, &channel, 2).await;
    drop(active);
    held.ack().await.unwrap();
    // One of them is the active one now, and gets the rest in order.
    let (first, mut rest) = tokio::select! {
        delivery = next(&mut beside) => (delivery, beside),
        delivery = next(&mut standby) => (delivery, standby),
    };
    assert_eq!(id(&first), "2");
    first.ack().await.unwrap();
    let last = next(&mut rest).await;
    assert_eq!(id(&last), "3");
    last.ack().await.unwrap();
}

#[tokio::test]
async fn too_high_a_priority_is_refused_by_name() {
    let place = Place::new();
    let broker = place.open().await;
    broker
        .declare(&channel(|it| it.limits.priorities = Some(5)))
        .await
        .unwrap();
    let (mut fits, mut above) = (numbered(5), numbered(6));
    fits.header.priority = Some(5);
    above.header.priority = Some(6);
    broker.publish(&fits).await.unwrap();
    let error = broker.publish(&above).await.unwrap_err();
    assert!(
        matches!(&error, PublishError::Refused { reason } if reason == "channel `c` has priorities up to 5, and the message has 6"),
        "{error:?}"
    );
    let error = broker
        .declare(&channel(|it| it.limits.priorities = Some(0)))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("the highest priority"), "{error}");
}
