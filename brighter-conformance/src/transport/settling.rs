//! What becomes of a delivery.

use std::time::Duration;

use tokio::time::Instant;

use super::tools::*;
use super::{Feature, Harness};
use brighter_core::channel::{Broker, Channel, Consumer, Rejection, RejectionKind};

/// What was acked does not come again, to this consumer or another.
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

/// What is released, dropped, or whose settling is cut short comes again as it was.
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

/// What comes again says how often it was delivered before.
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

/// What was with a consumer whose connection is lost comes again, and counts as delivered, whether or not the consumer
/// had received it.
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
        // Others would have it only once the broker knows that this connection is gone.
        while let Some(Ok(_)) = received(harness, &mut consumer).await {}
        drop(delivery);
        consumer = answer(harness, "consuming again", async || {
            broker.consume(&channel).await.ok()
        })
        .await;
    }
    ack(next(harness, &mut consumer).await).await;
}

/// What a consumer had when it was dropped goes to others, but for what is in hand still; that may be settled.
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

/// What is requeued comes again with its count, to its own channel and to no other, as often as it takes.
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

/// What is requeued with a delay comes when that is over and not before, though a longer one began earlier.
pub async fn a_delay_is_kept_and_holds_up_no_shorter_one<H: Harness>(harness: &H) {
    const DELAYS: [Duration; 3] = [
        Duration::from_millis(1_200),
        Duration::from_millis(600),
        Duration::from_millis(200),
    ];
    // Clocks that count in milliseconds.
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
    // The delay began somewhere between.
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
    // Where the machine stood still between two requeues, the one that began later may have been due later.
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

/// The one message that was set aside.
async fn set_aside<H: Harness>(harness: &H, consumer: &mut Consumer) -> brighter_core::message::Message {
    let message = take(harness, consumer, 1).await.remove(0);
    nothing(harness, consumer, "one was set aside").await;
    message
}

/// Rejects one as `kind`, and looks at what becomes of it in the one channel, and that nothing does in the other.
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

/// A dead letter is in its channel as it came, with the reason in its headers, and nowhere else.
pub async fn a_dead_letter_keeps_its_bytes_and_says_why<H: Harness>(harness: &H) {
    rejected(harness, RejectionKind::DeadLetter).await;
}

/// What was not understood is in the channel for invalid messages, not among the dead letters.
pub async fn an_invalid_message_is_kept_from_the_dead_letters<H: Harness>(harness: &H) {
    rejected(harness, RejectionKind::Invalid).await;
}

/// Settling what a closed broker gave works or is an error, and never hangs or panics.
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
    // Whether it was too late is not the same everywhere.
    let _ = within(harness, "a late ack", one().ack()).await;
    let _ = within(harness, "a late requeue", one().requeue(Duration::ZERO, true)).await;
    let rejection = Rejection::new(RejectionKind::DeadLetter, "late");
    let _ = within(harness, "a late rejection", one().reject(rejection)).await;
    one().release();
}
