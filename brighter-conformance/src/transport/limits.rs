//! Cases with the limits of a channel.

use std::time::Duration;

use tokio::time::timeout;

use super::Harness;
use super::tools::*;
use brighter_core::channel::{Broker, Channel, Producer, PublishError, Rejection, RejectionKind};

/// Checks that a consumer never has more unsettled deliveries than its buffer, and gets the next as soon as there is
/// room.
pub async fn no_more_comes_than_the_buffer_holds<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let channel = with_buffer(harness.channel("bounded", "Bounded"), 3);
    let mut consumer = consume(harness, &broker, &channel).await;
    let sent = series("Bounded", 8);
    publish(harness, &broker, &sent).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(next(harness, &mut consumer).await);
    }
    nothing(harness, &mut consumer, "the buffer is full").await;
    let mut came = Vec::new();
    while came.len() < sent.len() {
        let delivery = held.remove(0);
        came.push(carried(&delivery).clone());
        ack(delivery).await;
        if came.len() + held.len() < sent.len() {
            held.push(next(harness, &mut consumer).await);
        }
        if came.len() == 1 || came.len() == sent.len() {
            nothing(harness, &mut consumer, "it is full again, or nothing is left").await;
        }
    }
    assert_same("through a small buffer", &came, &sent);
}

/// Checks with a buffer of one that the next message is delivered only after the one before is settled, in any way.
pub async fn nothing_comes_before_the_one_in_hand_is_settled<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let channel = with_buffer(harness.channel("single", "Single"), 1);
    let mut consumer = consume(harness, &broker, &channel).await;
    publish(harness, &broker, &series("Single", 4)).await;
    for expected in 0..4 {
        let delivery = next(harness, &mut consumer).await;
        assert_eq!(number(carried(&delivery)), expected, "in order");
        nothing(harness, &mut consumer, "one is in hand").await;
        match expected {
            1 => {
                let rejection = Rejection::new(RejectionKind::DeadLetter, "one of them");
                delivery.reject(rejection).await.expect("a rejection");
            }
            _ => ack(delivery).await,
        }
    }
}

/// Checks that two consumers that hold one message each have different ones, and that together they get all, each once.
pub async fn consumers_of_one_channel_share_its_messages<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let other = harness.connect().await;
    let channel = with_buffer(harness.channel("shared", "Shared"), 1);
    let mut one = consume(harness, &broker, &channel).await;
    let mut two = consume(harness, &other, &channel).await;
    let sent = series("Shared", 20);
    publish(harness, &broker, &sent).await;
    let (first, second) = (next(harness, &mut one).await, next(harness, &mut two).await);
    let mut came = vec![carried(&first).clone(), carried(&second).clone()];
    ack(first).await;
    ack(second).await;
    while came.len() < sent.len() {
        let delivery = tokio::select! {
            delivery = next(harness, &mut one) => delivery,
            delivery = next(harness, &mut two) => delivery,
        };
        came.push(carried(&delivery).clone());
        ack(delivery).await;
    }
    assert_same("shared", &came, &sent);
    nothing(harness, &mut one, "all were taken").await;
    nothing(harness, &mut two, "all were taken").await;
}

/// Checks that one consumer at a time gets messages; when it ends, another gets its messages and the rest.
pub async fn one_consumer_at_a_time<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let mut channel = with_buffer(harness.channel("alone", "Alone"), 1);
    channel.limits.single_active_consumer = true;
    let mut one = consume(harness, &broker, &channel).await;
    let mut two = consume(harness, &broker, &channel).await;
    let sent = series("Alone", 3);
    publish(harness, &broker, &sent).await;
    let held = next(harness, &mut one).await;
    nothing(harness, &mut two, "another consumer is the active one").await;
    drop(one);
    drop(held);
    let came = take(harness, &mut two, sent.len()).await;
    assert_same("the one that stood by", &came, &sent);
}

/// Returns the dead-letter channel of this channel, to consume it.
fn dead_letters(channel: &Channel) -> Channel {
    Channel::existing(channel.dead_letters.clone())
}

/// Checks that an expired message is dead-lettered without a consumer.
pub async fn what_waits_too_long_is_a_dead_letter<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let mut channel = harness.channel("short-lived", "ShortLived");
    channel.limits.time_to_live = Some(Duration::from_millis(100));
    declare(harness, &broker, &channel).await;
    let sent = series("ShortLived", 3);
    publish(harness, &broker, &sent).await;
    let mut dead = consume(harness, &broker, &dead_letters(&channel)).await;
    let came = take(harness, &mut dead, sent.len()).await;
    assert_same("dead letters", &came, &sent);
    let mut consumer = consume(harness, &broker, &channel).await;
    nothing(harness, &mut consumer, "all had waited too long").await;
}

/// Checks that a full channel refuses messages, accepts them once there is room, and drops none.
pub async fn a_full_channel_refuses_and_drops_nothing<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let mut channel = harness.channel("full", "Full");
    channel.limits.length = Some(3);
    declare(harness, &broker, &channel).await;
    let mut sent = Vec::new();
    // A broker of several nodes may notice a little late.
    for number in 0..100 {
        let message = numbered("Full", number);
        match within(harness, "an answer", broker.publish(&message)).await {
            Ok(()) => sent.push(message),
            Err(PublishError::Refused { .. } | PublishError::ChannelFull { .. }) => break,
            Err(other) => panic!("a full channel is no {other:?}"),
        }
    }
    assert!(
        (3..100).contains(&sent.len()),
        "a channel of 3 took {}",
        sent.len()
    );
    let mut consumer = consume(harness, &broker, &channel).await;
    let came = take(harness, &mut consumer, sent.len()).await;
    assert_same("what was confirmed", &came, &sent);
    answer(harness, "room again", async || {
        let published = broker.publish(&numbered("Full", 100)).await;
        published.is_ok().then_some(())
    })
    .await;
    take(harness, &mut consumer, 1).await;
}

/// Checks that a full channel that refuses messages does not prevent copies in other channels. A refused message may be
/// published again with the same id, and then the others have it twice.
pub async fn a_full_channel_keeps_no_other_from_its_copy<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let mut channel = harness.channel("full-alone", "FullAlone");
    channel.limits.length = Some(1);
    declare(harness, &broker, &channel).await;
    let other = with_buffer(harness.channel("with-room", "FullAlone"), 100);
    declare(harness, &broker, &other).await;
    let (mut sent, mut refused) = (Vec::new(), 0);
    // A broker of several nodes may notice a little late, so some messages are refused, not exactly the second.
    while refused < 3 {
        let message = numbered("FullAlone", sent.len());
        match within(harness, "an answer", broker.publish(&message)).await {
            Ok(()) => {}
            Err(PublishError::Refused { .. } | PublishError::ChannelFull { .. }) => refused += 1,
            Err(other) => panic!("a full channel is no {other:?}"),
        }
        sent.push(message);
        assert!(sent.len() < 100, "a channel of 1 took {}", sent.len() - refused);
    }
    let mut consumer = consume(harness, &broker, &other).await;
    let came = take(harness, &mut consumer, sent.len()).await;
    assert_same("of the channel with room", &came, &sent);
    let mut consumer = consume(harness, &broker, &channel).await;
    let taken = sent.len() - refused;
    let came = take(harness, &mut consumer, taken).await;
    assert_same("of the full channel", &came, &sent[..taken]);
}

/// Checks that a message that was delivered up to its limit and never settled is dead-lettered. A broker may count from
/// the first delivery or, as RabbitMQ does, from the second.
pub async fn messages_delivered_too_often_are_dead_lettered<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let mut channel = with_buffer(harness.channel("stubborn", "Stubborn"), 1);
    channel.limits.deliveries = Some(3);
    let mut consumer = consume(harness, &broker, &channel).await;
    let sent = series("Stubborn", 1);
    publish(harness, &broker, &sent).await;
    let mut dead = consume(harness, &broker, &dead_letters(&channel)).await;
    let mut deliveries = 0;
    let aside = loop {
        let patience = harness.patience();
        tokio::select! {
            delivery = next(harness, &mut consumer) => {
                deliveries += 1;
                assert!(deliveries <= 4, "it was to be delivered 3 times at most");
                delivery.release();
            }
            aside = timeout(patience, take(harness, &mut dead, 1)) => {
                break aside.expect("a dead letter in time").remove(0);
            }
        }
    };
    assert!(deliveries >= 3, "it was delivered {deliveries} times only");
    assert_same("the dead letter", &[aside], &sent);
    nothing(harness, &mut consumer, "it is a dead letter").await;
}

/// Checks that waiting messages are delivered by priority, and in order within one priority; a message without one is
/// the last. A message keeps its priority for a redelivery and as a dead letter.
pub async fn higher_priorities_come_first<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    assert_eq!(
        broker.highest_priority(),
        Some(u8::MAX),
        "what a message can carry"
    );
    let mut channel = with_buffer(harness.channel("urgent", "Urgent"), 1);
    channel.limits.priorities = Some(9);
    declare(harness, &broker, &channel).await;
    let mut sent = series("Urgent", 8);
    for (message, priority) in sent
        .iter_mut()
        .zip([None, Some(1), Some(9), Some(5), Some(9), None, Some(5)])
    {
        message.header.priority = priority;
    }
    publish(harness, &broker, &sent[..7]).await;
    let mut consumer = consume(harness, &broker, &channel).await;
    let mut came = Vec::new();
    for count in 0..8 {
        let delivery = next(harness, &mut consumer).await;
        came.push(carried(&delivery).clone());
        match count {
            // It is delivered before the others, because it keeps its priority.
            0 => delivery.requeue(Duration::ZERO, true).await.expect("a requeue"),
            7 => {
                let rejection = Rejection::new(RejectionKind::DeadLetter, "the last");
                delivery.reject(rejection).await.expect("a rejection");
            }
            _ => ack(delivery).await,
        }
    }
    let order: Vec<usize> = came.iter().map(number).collect();
    let (urgent, others) = order.split_at(3);
    assert!(
        urgent == [2, 4, 2] || urgent == [2, 2, 4],
        "the highest first: {order:?}"
    );
    assert_eq!(others, [3, 6, 1, 0, 5], "in the order of their priorities");
    for message in &came {
        let expected = sent[number(message)].header.priority;
        assert_eq!(message.header.priority.unwrap_or(0), expected.unwrap_or(0));
    }

    // A dead letter keeps its priority, and so does a message in a channel without priorities.
    sent[7].header.priority = Some(7);
    publish(harness, &broker, &sent[7..]).await;
    let delivery = next(harness, &mut consumer).await;
    let rejection = Rejection::new(RejectionKind::DeadLetter, "as it was");
    delivery.reject(rejection).await.expect("a rejection");
    let mut dead = consume(harness, &broker, &dead_letters(&channel)).await;
    let dead = take(harness, &mut dead, 2).await;
    assert_eq!(dead[1].header.priority, Some(7));
}

/// Checks that the depth of a channel is the number of waiting messages, without a consumer.
pub async fn depth_is_how_many_wait<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let channel = harness.channel("deep", "Deep");
    declare(harness, &broker, &channel).await;
    let depth = async |expected: u64| {
        answer(harness, &format!("a depth of {expected}"), async || {
            let depth = broker.depth(&channel).await;
            (depth.expect("a depth") == Some(expected)).then_some(())
        })
        .await;
    };
    depth(0).await;
    publish(harness, &broker, &series("Deep", 7)).await;
    depth(7).await;
    let mut consumer = consume(harness, &broker, &channel).await;
    take(harness, &mut consumer, 7).await;
    depth(0).await;
}
