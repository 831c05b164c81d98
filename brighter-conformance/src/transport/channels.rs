//! Cases with channels that are declared, removed and abandoned.

use super::tools::*;
use super::{Feature, Harness};
use brighter_core::channel::{
    Broker, Channel, ChannelError, Delivery, Producer, PublishError, Rejection, RejectionKind, SettleError,
};
use brighter_core::message::ChannelName;

/// Checks that a declared channel accumulates messages, and has its dead-letter and invalid-message channels. Declaring
/// it again changes nothing.
pub async fn a_declared_channel_gathers_messages<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let channel = harness.channel("declared", "Declared");
    let declare = async || {
        let declared = within(harness, "a declaration", broker.declare(&channel)).await;
        declared.unwrap_or_else(|error| panic!("`{}` cannot be declared: {error:?}", channel.name));
    };
    declare().await;
    let sent = series("Declared", 5);
    publish(harness, &broker, &sent).await;
    declare().await;
    let mut consumer = consume(harness, &broker, &channel).await;
    let came = take(harness, &mut consumer, sent.len()).await;
    assert_same("gathered", &came, &sent);
    nothing(harness, &mut consumer, "all were taken").await;

    let nameless = Channel::new("", "Declared");
    let refused = within(harness, "an answer", broker.declare(&nameless)).await;
    assert!(
        matches!(refused, Err(ChannelError::Name(_))),
        "a channel without a name gave {refused:?}"
    );
}

/// Checks that rejected messages can be read through a channel that is opened by its name alone. They are given back,
/// acked or moved, and never lost. A channel that does not exist is refused.
pub async fn what_was_set_aside_is_looked_at_as_it_is<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let channel = harness.channel("looked-at", "LookedAt");
    let absent = Channel::existing(format!("{}.absent", channel.name));
    let refused = within(harness, "an answer", broker.consume(&absent)).await;
    assert!(
        matches!(refused, Err(ChannelError::Refused { .. })),
        "a channel that is not there gave {refused:?}"
    );

    let mut consumer = consume(harness, &broker, &channel).await;
    let sent = series("LookedAt", 4);
    publish(harness, &broker, &sent).await;
    for _ in &sent {
        let delivery = next(harness, &mut consumer).await;
        let kind = match number(carried(&delivery)) {
            3 => RejectionKind::Invalid,
            _ => RejectionKind::DeadLetter,
        };
        let done = within(
            harness,
            "a rejection",
            delivery.reject(Rejection::new(kind, "set aside")),
        )
        .await;
        done.unwrap_or_else(|error| panic!("a rejection failed: {error:?}"));
    }
    for (name, expected) in [
        (&channel.dead_letters, &sent[..3]),
        (&channel.invalid_messages, &sent[3..]),
    ] {
        let as_it_is = Channel::existing(name.clone());
        if has_depth(harness) {
            answer(harness, "a depth", async || {
                let depth = broker.depth(&as_it_is).await;
                (depth.expect("a depth") == Some(expected.len() as u64)).then_some(())
            })
            .await;
        }
        // As a person who looks and leaves all as it was.
        let mut looking = consume(harness, &broker, &as_it_is).await;
        let mut seen = Vec::new();
        for _ in expected {
            seen.push(next(harness, &mut looking).await);
        }
        let messages: Vec<_> = seen.iter().map(|delivery| carried(delivery).clone()).collect();
        assert_same("set aside", &messages, expected);
        seen.into_iter().rev().for_each(Delivery::release);
        let closed = within(harness, "the close", looking.close()).await;
        closed.unwrap_or_else(|error| panic!("a consumer cannot be closed: {error:?}"));

        let mut looking = consume(harness, &broker, &as_it_is).await;
        // There is nowhere to set it aside again.
        let again = Rejection::new(RejectionKind::DeadLetter, "once more");
        let rejected = within(
            harness,
            "an answer",
            next(harness, &mut looking).await.reject(again),
        )
        .await;
        assert!(
            matches!(rejected, Err(SettleError::NotMoved(_))),
            "with nowhere to go, a rejection gave {rejected:?}"
        );
        let back = next(harness, &mut looking).await;
        let message = carried(&back).clone();
        let came = match within(harness, "a move", back.move_to(&channel.name, message.clone())).await {
            Ok(()) => take(harness, &mut consumer, 1).await,
            // It was given back.
            Err(SettleError::Unsupported(_)) => take(harness, &mut looking, 1).await,
            Err(error) => panic!("a message cannot be moved: {error:?}"),
        };
        assert_same("moved back", &came, &[message]);
        let rest = take(harness, &mut looking, expected.len() - 1).await;
        assert_same("all in all", &[came, rest].concat(), expected);
        nothing(harness, &mut looking, "all were taken").await;
    }
}

fn has_depth(harness: &impl Harness) -> bool {
    harness.features().has(Feature::Depth)
}

/// Checks that a removed channel loses its messages, bindings and consumers, and that its name is free.
pub async fn a_removed_channel_is_gone<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let channel = with_buffer(harness.channel("removed", "Removed"), 1);
    let mut consumer = consume(harness, &broker, &channel).await;
    publish(harness, &broker, &series("Removed", 5)).await;
    drop(next(harness, &mut consumer).await);
    remove(harness, &broker, &channel.name).await;
    let ended = async {
        // Messages on their way to the consumer may still arrive.
        while let Some(Ok(delivery)) = consumer.receive().await {
            drop(delivery);
        }
    };
    within(harness, "the end of the consumer", ended).await;
    remove(harness, &broker, &channel.name).await;
    if harness.features().has(Feature::Unroutable) {
        let published = within(harness, "an answer", broker.publish(&numbered("Removed", 5))).await;
        assert!(
            matches!(published, Err(PublishError::Unroutable { .. })),
            "no channel wants it, and publishing it gave {published:?}"
        );
    }
    let mut anew = consume(harness, &broker, &channel).await;
    nothing(harness, &mut anew, "its messages were removed").await;
    let sent = series("Removed", 3);
    publish(harness, &broker, &sent).await;
    let came = take(harness, &mut anew, sent.len()).await;
    assert_same("of the channel that was made anew", &came, &sent);
}

/// Checks that channels are listed by name, with their topics and waiting messages, and with their consumers if the
/// broker knows them. A removed channel is not listed.
pub async fn channels_are_listed_with_what_waits_in_them<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let (one, two) = (
        harness.channel("listed-1", "Listed"),
        harness.channel("listed-2", "Listed"),
    );
    declare(harness, &broker, &one).await;
    let consumer = consume(harness, &broker, &two).await;
    publish(harness, &broker, &series("Listed", 12)).await;
    let listed = async || {
        let listed = within(harness, "an answer", broker.channels()).await;
        listed.unwrap_or_else(|error| panic!("channels cannot be listed: {error:?}"))
    };
    let usages = listed().await;
    assert!(
        usages.is_sorted_by(|one, other| one.name < other.name),
        "not in the order of their names: {usages:?}"
    );
    let named = |name: &ChannelName| usages.iter().find(|usage| usage.name == *name);
    let of = |channel: &Channel| {
        let usage = named(&channel.name);
        usage.unwrap_or_else(|| panic!("`{}` is not listed: {usages:?}", channel.name))
    };
    assert_eq!(of(&one).waiting, 12);
    assert_eq!(of(&one).routing_keys, one.routing_keys);
    assert!(of(&one).consumers.is_none_or(|consumers| consumers == 0));
    assert_eq!(of(&one).is_abandoned(), of(&one).consumers.is_some());
    assert!(of(&two).consumers.is_none_or(|consumers| consumers == 1));
    assert!(!of(&two).is_abandoned());
    if let Some(beside) = named(&one.dead_letters) {
        assert!(beside.routing_keys.is_empty(), "{beside:?}");
    }
    drop(consumer);
    remove(harness, &broker, &one.name).await;
    let usages = listed().await;
    assert!(
        usages.iter().all(|usage| usage.name != one.name),
        "it was removed: {usages:?}"
    );
}

async fn remove<H: Harness>(harness: &H, broker: &impl Broker, channel: &ChannelName) {
    let removed = within(harness, "a removal", broker.remove(channel)).await;
    removed.unwrap_or_else(|error| panic!("`{channel}` cannot be removed: {error:?}"));
}

/// Checks that after a consumer is closed, another one gets its messages. Unsettled deliveries may still be settled.
pub async fn a_closed_consumer_has_given_back_what_it_took<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let channel = with_buffer(harness.channel("left", "Left"), 10);
    let mut consumer = consume(harness, &broker, &channel).await;
    let sent = series("Left", 8);
    publish(harness, &broker, &sent).await;
    let held = next(harness, &mut consumer).await;
    let held_id = carried(&held).header.id.clone();
    let closed = within(harness, "the close", consumer.close()).await;
    closed.unwrap_or_else(|error| panic!("a consumer cannot be closed: {error:?}"));
    if has_depth(harness) {
        // Some brokers count a little later.
        answer(harness, "all but one to wait", async || {
            let depth = broker.depth(&channel).await;
            depth.is_ok_and(|depth| depth == Some(7)).then_some(())
        })
        .await;
    }
    let mut other = consume(harness, &broker, &channel).await;
    let came = take(harness, &mut other, sent.len() - 1).await;
    let expected: Vec<_> = sent
        .into_iter()
        .filter(|message| message.header.id != held_id)
        .collect();
    assert_same("all but what is in hand", &came, &expected);
    ack(held).await;
    let closed = within(harness, "the close", other.close()).await;
    closed.unwrap_or_else(|error| panic!("a consumer cannot be closed: {error:?}"));
    let mut last = consume(harness, &broker, &channel).await;
    nothing(harness, &mut last, "all were acked").await;
}

/// Checks that messages that were acked before a flush are not delivered again, even if the connection is lost right
/// after it.
pub async fn a_flush_writes_what_was_acked<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let channel = with_buffer(harness.channel("written", "Written"), 50);
    let mut consumer = consume(harness, &broker, &channel).await;
    let sent = series("Written", 40);
    publish(harness, &broker, &sent).await;
    let acked = take(harness, &mut consumer, 29).await;
    let flushed = within(harness, "the flush", broker.flush()).await;
    flushed.unwrap_or_else(|error| panic!("a flush failed: {error:?}"));
    harness.cut(&broker).await;
    drop(consumer);
    let mut consumer = answer(harness, "a consumer", async || {
        broker.consume(&channel).await.ok()
    })
    .await;
    let rest = take(harness, &mut consumer, sent.len() - acked.len()).await;
    assert_same(
        "some before the flush and the rest after it",
        &[acked, rest].concat(),
        &sent,
    );
    nothing(harness, &mut consumer, "the others were acked").await;
}
