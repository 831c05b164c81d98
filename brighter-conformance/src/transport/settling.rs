//! Cases with the settlement of deliveries.

use std::time::Duration;

use tokio::time::Instant;

use super::tools::*;
use super::{Feature, Harness};
use brighter_core::channel::{Broker, Channel, Consumer, Rejection, RejectionKind};

/// Checks that an acked message is not delivered again, to this consumer or another.
pub async fn what_is_acked_is_gone<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let channel = harness.channel("acked", "Acked");
    let mut consumer = consume(harness, &broker, &channel).await;
    let sent = series("Acked", 10);
    publish(harness, &broker, &sent).await;
    let came = take(harness, &mut consumer, sent.len()).await;
    assert_same("each once", &came, &sent);
    drop(consumer);
    let mut other = consume(harness, &broker, &channel).await;
    nothing(harness, &mut other, "all were acked").await;
}

/// Checks that a message that is released, dropped, or whose settlement is cancelled is delivered again unchanged.
pub async fn what_is_not_settled_comes_again<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let mut consumer = consume(harness, &broker, &harness.channel("released", "Released")).await;
    let sent = series("Released", 1);
    publish(harness, &broker, &sent).await;
    next(harness, &mut consumer).await.release();
    drop(next(harness, &mut consumer).await);
    drop(next(harness, &mut consumer).await.ack());
    let again = next(harness, &mut consumer).await;
    assert_eq!(carried(&again).header.id, sent[0].header.id);
    assert_eq!(
        carried(&again).header.handled_count,
        0,
        "none of these was an attempt"
    );
    assert!(carried(&again).body == sent[0].body);
    ack(again).await;
    nothing(harness, &mut consumer, "it is acked at last").await;
}

/// Checks that a redelivery has the number of earlier deliveries.
pub async fn the_broker_counts_what_comes_again<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let mut consumer = consume(harness, &broker, &harness.channel("counted", "Counted")).await;
    publish(harness, &broker, &series("Counted", 1)).await;
    for times in 0..4 {
        let delivery = next(harness, &mut consumer).await;
        assert_eq!(delivery.redeliveries(), times, "delivered {times} times before");
        delivery.release();
    }
    ack(next(harness, &mut consumer).await).await;
}

/// Checks that the messages of a consumer whose connection is lost are delivered again, and count as delivered, whether
/// the consumer had received them or not.
pub async fn the_broker_counts_what_a_lost_consumer_had<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let channel = harness.channel("died", "Died");
    let mut consumer = consume(harness, &broker, &channel).await;
    let sent = series("Died", 1);
    publish(harness, &broker, &sent).await;
    for times in 0..3 {
        let delivery = next(harness, &mut consumer).await;
        assert_eq!(delivery.redeliveries(), times, "delivered {times} times before");
        assert_eq!(carried(&delivery).header.id, sent[0].header.id);
        harness.cut(&broker).await;
        // Others would get it only once the broker knows that this connection is gone.
        while let Some(Ok(_)) = received(harness, &mut consumer).await {}
        drop(delivery);
        consumer = answer(harness, "consuming again", async || {
            broker.consume(&channel).await.ok()
        })
        .await;
    }
    ack(next(harness, &mut consumer).await).await;
}

/// Checks that the messages of a dropped consumer go to others. Unsettled deliveries may still be settled.
pub async fn what_a_dropped_consumer_had_comes_back<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let channel = harness.channel("dropped", "Dropped");
    let mut consumer = consume(harness, &broker, &channel).await;
    let sent = series("Dropped", 8);
    publish(harness, &broker, &sent).await;
    let held = next(harness, &mut consumer).await;
    let released = next(harness, &mut consumer).await;
    drop(consumer);
    drop(released);
    let mut other = consume(harness, &broker, &channel).await;
    let came = take(harness, &mut other, sent.len() - 1).await;
    let expected: Vec<_> = sent
        .into_iter()
        .filter(|message| message.header.id != carried(&held).header.id)
        .collect();
    assert_same("all but what is in hand", &came, &expected);
    ack(held).await;
    nothing(harness, &mut other, "what was in hand is acked").await;
}

/// Checks that a requeued message is delivered again with its count, to its own channel and no other, each time.
pub async fn what_is_requeued_comes_again_counted_and_to_nobody_else<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let mut consumer = consume(harness, &broker, &harness.channel("requeued", "Requeued")).await;
    let mut other = if harness.features().has(Feature::Copies) {
        Some(consume(harness, &broker, &harness.channel("other", "Requeued")).await)
    } else {
        None
    };
    let mut sent = series("Requeued", 1);
    sent[0].header.bag.insert("tenant", "north");
    publish(harness, &broker, &sent).await;
    if let Some(other) = &mut other {
        take(harness, other, 1).await;
    }
    for (counted, handled) in [(true, 0), (true, 1), (false, 2), (true, 2)] {
        let delivery = next(harness, &mut consumer).await;
        assert_eq!(
            carried(&delivery).header.handled_count,
            handled,
            "attempts so far"
        );
        let requeued = within(harness, "a requeue", delivery.requeue(Duration::ZERO, counted)).await;
        requeued.unwrap_or_else(|error| panic!("a requeue failed: {error:?}"));
    }
    let last = take(harness, &mut consumer, 1).await.remove(0);
    assert_eq!(last.header.handled_count, 3, "attempts so far");
    assert_eq!(last.header.id, sent[0].header.id);
    assert_eq!(last.header.topic, sent[0].header.topic);
    assert_eq!(last.header.bag, sent[0].header.bag);
    assert!(last.body == sent[0].body);
    nothing(harness, &mut consumer, "it is acked").await;
    if let Some(other) = &mut other {
        nothing(harness, other, "a retry is for one channel").await;
    }
}

/// Checks that a delayed message is delivered after its delay and not before, even if a longer delay began earlier.
pub async fn a_delay_is_kept_and_holds_up_no_shorter_one<H: Harness>(harness: &H) {
    const DELAYS: [Duration; 3] = [
        Duration::from_millis(1_200),
        Duration::from_millis(600),
        Duration::from_millis(200),
    ];
    // The resolution of clocks in milliseconds.
    const ROUNDING: Duration = Duration::from_millis(5);
    let broker = harness.connect().await;
    let mut consumer = consume(harness, &broker, &harness.channel("delayed", "Delayed")).await;
    publish(harness, &broker, &series("Delayed", DELAYS.len())).await;
    let mut began = Vec::new();
    for _ in DELAYS {
        let delivery = next(harness, &mut consumer).await;
        let number = number(carried(&delivery));
        let asked = Instant::now();
        let requeued = within(harness, "a requeue", delivery.requeue(DELAYS[number], true)).await;
        requeued.unwrap_or_else(|error| panic!("a requeue failed: {error:?}"));
        began.push((asked, Instant::now(), number));
    }
    // The delay began between these times.
    let mut earliest = Vec::new();
    for (asked, done, number) in began {
        earliest.push((asked + DELAYS[number], done + DELAYS[number], number));
    }
    let mut came = Vec::new();
    for _ in DELAYS {
        let delivery = next(harness, &mut consumer).await;
        let (message, now) = (carried(&delivery), Instant::now());
        let number = number(message);
        let due = earliest
            .iter()
            .find(|(_, _, of)| *of == number)
            .expect("one of ours")
            .0;
        assert!(now + ROUNDING >= due, "it came {:?} too early", due - now);
        assert_eq!(message.header.handled_count, 1, "attempts so far");
        came.push(number);
        ack(delivery).await;
    }
    // If the machine paused between two requeues, the one that began later may have been due later.
    earliest.sort();
    let due = earliest
        .windows(2)
        .all(|pair| pair[1].0 > pair[0].1 + Duration::from_millis(100));
    let order: Vec<_> = earliest.into_iter().map(|(_, _, number)| number).collect();
    assert!(
        !due || came == order,
        "they came as {came:?}, and were due as {order:?}"
    );
    nothing(harness, &mut consumer, "each was acked").await;
}

/// Returns the only rejected message.
async fn set_aside<H: Harness>(harness: &H, consumer: &mut Consumer) -> brighter_core::message::Message {
    let message = take(harness, consumer, 1).await.remove(0);
    nothing(harness, consumer, "one was set aside").await;
    message
}

/// Rejects a message as `kind`, and checks it in the right channel, and that the other one stays empty.
async fn rejected<H: Harness>(harness: &H, kind: RejectionKind) {
    let broker = harness.connect().await;
    let channel = harness.channel("rejected", "Rejected");
    let mut consumer = consume(harness, &broker, &channel).await;
    let (to, other) = match kind {
        RejectionKind::Invalid => (&channel.invalid_messages, &channel.dead_letters),
        _ => (&channel.dead_letters, &channel.invalid_messages),
    };
    let mut to = consume(harness, &broker, &Channel::existing(to.clone())).await;
    let mut other = consume(harness, &broker, &Channel::existing(other.clone())).await;
    let mut sent = series("Rejected", 1);
    sent[0].header.bag.insert("tenant", "north");
    sent[0].header.handled_count = 2;
    publish(harness, &broker, &sent).await;
    let delivery = next(harness, &mut consumer).await;
    let why = Rejection::new(kind, "no such recipient: \"Ünï\"");
    let done = within(harness, "a rejection", delivery.reject(why.clone())).await;
    done.unwrap_or_else(|error| panic!("a rejection failed: {error:?}"));
    let aside = set_aside(harness, &mut to).await;
    assert_eq!(aside.header.id, sent[0].header.id);
    assert!(aside.body == sent[0].body, "its bytes as they came");
    let tenant = aside.header.bag.get("tenant").and_then(|value| value.as_str());
    assert_eq!(tenant, Some("north"), "its own headers as they came");
    let noted = Rejection::read(&aside.header).expect("it says why it is here");
    assert_eq!(noted.rejection, why);
    assert_eq!(noted.topic, Some("Rejected".into()), "the topic that it came by");
    assert_eq!(noted.attempts, Some(3), "how often it was handled");
    nothing(harness, &mut other, "it went elsewhere").await;
    nothing(harness, &mut consumer, "it is done with").await;
}

/// Checks that a dead letter is in its channel unchanged, with the reason in its headers, and in no other.
pub async fn a_dead_letter_keeps_its_bytes_and_says_why<H: Harness>(harness: &H) {
    rejected(harness, RejectionKind::DeadLetter).await;
}

/// Checks that an invalid message is in the invalid-message channel, not in the dead-letter channel.
pub async fn an_invalid_message_is_kept_from_the_dead_letters<H: Harness>(harness: &H) {
    rejected(harness, RejectionKind::Invalid).await;
}

/// Checks that settling a delivery of a closed broker succeeds or fails, and never hangs or panics.
pub async fn settling_after_a_close_harms_nothing<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let channel = with_buffer(harness.channel("late", "Late"), 10);
    let mut consumer = consume(harness, &broker, &channel).await;
    let sent = series("Late", 4);
    publish(harness, &broker, &sent).await;
    let mut held = Vec::new();
    for _ in 0..sent.len() {
        held.push(next(harness, &mut consumer).await);
    }
    drop(consumer);
    within(harness, "the close", broker.close()).await;
    let mut held = held.into_iter();
    let mut one = || held.next().expect("there are four");
    // Transports differ in whether this is too late.
    let _ = within(harness, "a late ack", one().ack()).await;
    let _ = within(harness, "a late requeue", one().requeue(Duration::ZERO, true)).await;
    let rejection = Rejection::new(RejectionKind::DeadLetter, "late");
    let _ = within(harness, "a late rejection", one().reject(rejection)).await;
    one().release();
}
