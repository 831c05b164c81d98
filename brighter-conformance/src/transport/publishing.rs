//! Cases with the routing of published messages.

use std::sync::Arc;

use futures_util::future::join_all;

use super::Harness;
use super::tools::*;
use brighter_core::channel::{Broker, ChannelError, Producer, PublishError};
use brighter_core::message::Message;

/// Checks that a channel without a consumer keeps messages for a later one.
pub async fn what_is_published_before_anyone_consumes_is_kept<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let channel = harness.channel("kept", "Kept");
    declare(harness, &broker, &channel).await;
    let sent = series("Kept", 20);
    publish(harness, &broker, &sent).await;
    let mut consumer = consume(harness, &broker, &channel).await;
    let came = take(harness, &mut consumer, sent.len()).await;
    assert_same("kept for later", &came, &sent);
    nothing(harness, &mut consumer, "all were taken").await;
}

/// Checks that each channel that is bound to a topic gets every message, and settles its own copies.
pub async fn every_channel_gets_a_copy<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let names = ["one", "two", "three"];
    let channels = names.map(|name| harness.channel(name, "Copied"));
    for channel in &channels {
        declare(harness, &broker, channel).await;
    }
    let sent = series("Copied", 10);
    publish(harness, &broker, &sent).await;
    for channel in &channels {
        let mut consumer = consume(harness, &broker, channel).await;
        let came = take(harness, &mut consumer, sent.len()).await;
        assert_same("a copy for each channel", &came, &sent);
        nothing(harness, &mut consumer, "one copy is enough").await;
    }
}

/// Checks that a channel gets the messages of its topic, and no others.
pub async fn topics_are_apart<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let topics = ["Apart", "Apart.Other", "apart"];
    let mut consumers = Vec::new();
    for (index, topic) in topics.iter().enumerate() {
        let channel = harness.channel(&format!("apart-{index}"), topic);
        consumers.push(consume(harness, &broker, &channel).await);
    }
    let sent = topics.map(|topic| series(topic, 5));
    for messages in &sent {
        publish(harness, &broker, messages).await;
    }
    for (consumer, sent) in consumers.iter_mut().zip(&sent) {
        let came = take(harness, consumer, sent.len()).await;
        assert_same("one topic", &came, sent);
        nothing(harness, consumer, "the rest has other topics").await;
    }
}

/// Checks that `*` matches one word of a topic and `#` any number, and that a message with two matches is delivered
/// once.
pub async fn routing_keys_may_be_patterns<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let topics = ["a", "a.b", "a.b.c", "b.c", "x"];
    for (index, (patterns, wanted)) in [
        (&["a.*"][..], &["a.b"][..]),
        (&["a.#"], &["a", "a.b", "a.b.c"]),
        (&["#.c"], &["a.b.c", "b.c"]),
        (&["*.*"], &["a.b", "b.c"]),
        (&["#"], &topics),
        (&["a.#", "#.c", "a.b.c"], &["a", "a.b", "a.b.c", "b.c"]),
    ]
    .into_iter()
    .enumerate()
    {
        let mut channel = harness.channel(&format!("pattern-{index}"), patterns[0]);
        channel.routing_keys = patterns.iter().map(|pattern| (*pattern).into()).collect();
        let mut consumer = consume(harness, &broker, &channel).await;
        let sent: Vec<_> = topics.iter().flat_map(|topic| series(topic, 1)).collect();
        for message in &sent {
            let published = within(harness, "a publish", broker.publish(message)).await;
            let is_wanted = wanted.iter().any(|topic| message.header.topic == *topic);
            // Once an earlier pattern matches everything, no message is unroutable.
            assert!(published.is_ok() || !is_wanted, "{patterns:?}: {published:?}");
        }
        let expected: Vec<_> = sent
            .into_iter()
            .filter(|message| wanted.iter().any(|topic| message.header.topic == *topic))
            .collect();
        let came = take(harness, &mut consumer, expected.len()).await;
        assert_same(&format!("{patterns:?}"), &came, &expected);
        nothing(harness, &mut consumer, "it wants no others").await;
    }
}

/// Checks that a message without a bound channel is a typed error, until a channel is bound.
pub async fn what_nobody_wants_is_unroutable<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let message = numbered("Unwanted", 0);
    let refused = within(harness, "an answer", broker.publish(&message)).await;
    assert!(
        matches!(&refused, Err(PublishError::Unroutable { topic }) if *topic == "Unwanted"),
        "nobody wants it, and publishing it gave {refused:?}"
    );
    let channel = harness.channel("wanted", "Unwanted");
    let mut consumer = consume(harness, &broker, &channel).await;
    nothing(harness, &mut consumer, "it was not taken").await;
    publish(harness, &broker, &[message]).await;
    take(harness, &mut consumer, 1).await;
}

/// Checks that messages that are published at once have individual results, in their order.
pub async fn many_at_once_are_told_of_one_by_one<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let mut consumer = consume(harness, &broker, &harness.channel("some", "Wanted")).await;
    let topic = |number: usize| if number % 7 == 3 { "Unwanted" } else { "Wanted" };
    let sent: Vec<_> = (0..50).map(|number| numbered(topic(number), number)).collect();
    let published = within(harness, "all answers", broker.publish_all(sent.iter().collect())).await;
    assert_eq!(published.len(), sent.len(), "an answer for each");
    for (number, answer) in published.iter().enumerate() {
        let is_right = match topic(number) {
            "Wanted" => answer.is_ok(),
            _ => matches!(answer, Err(PublishError::Unroutable { .. })),
        };
        assert!(is_right, "number {number} was told {answer:?}");
    }
    let wanted: Vec<_> = sent
        .into_iter()
        .filter(|message| message.header.topic == "Wanted")
        .collect();
    let came = take(harness, &mut consumer, wanted.len()).await;
    assert_same("those that were wanted", &came, &wanted);
}

/// Checks that an empty, too long or unprintable name is an error before anything is sent.
pub async fn names_that_no_broker_takes_are_typed_errors<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let long = "x".repeat(256);
    for name in ["", &long, "a\nb"] {
        let published = within(harness, "an answer", broker.publish(&numbered(name, 0))).await;
        assert!(
            matches!(published, Err(PublishError::Name(_))),
            "the topic {name:?} gave {published:?}"
        );
        let channel = brighter_core::channel::Channel::new(name, "Topic");
        let consumed = within(harness, "an answer", broker.consume(&channel)).await;
        assert!(
            matches!(consumed, Err(ChannelError::Name(_))),
            "the channel {name:?} gave {consumed:?}"
        );
    }
}

/// Checks several threads that publish to several topics, while several others consume: every message is delivered
/// exactly once.
pub async fn many_publishers_and_consumers_get_exactly_what_was_sent<H: Harness>(harness: &H) {
    const TOPICS: usize = 6;
    const PUBLISHERS: usize = 3;
    const EACH: usize = 20;
    let broker = Arc::new(harness.connect().await);
    let topic = |index: usize| format!("Busy.{index}");
    let mut consumers = Vec::new();
    for index in 0..TOPICS {
        let channel = harness.channel(&format!("busy-{index}"), &topic(index));
        consumers.push(consume(harness, &*broker, &channel).await);
    }
    let patience = harness.patience();
    let publishers = (0..PUBLISHERS).map(|_| {
        let broker = Arc::clone(&broker);
        let sent: Vec<_> = (0..EACH)
            .flat_map(|number| (0..TOPICS).map(move |index| numbered(&topic(index), number)))
            .collect();
        on_thread(move || async move {
            for some in sent.chunks(TOPICS * 4) {
                let published = broker.publish_all(some.iter().collect());
                let published = tokio::time::timeout(patience, published)
                    .await
                    .expect("answers in time");
                assert!(published.iter().all(Result::is_ok), "{published:?}");
            }
            sent
        })
    });
    let consuming = consumers.into_iter().map(|mut consumer| {
        on_thread(move || async move {
            let mut came = Vec::new();
            while came.len() < PUBLISHERS * EACH {
                let next = tokio::time::timeout(patience, consumer.receive()).await;
                let Ok(Some(Ok(delivery))) = next else {
                    panic!("after {} messages there came {next:?}", came.len());
                };
                came.push(carried(&delivery).clone());
                ack(delivery).await;
            }
            (consumer, came)
        })
    });
    let (sent, consumed) = tokio::join!(join_all(publishers), join_all(consuming));
    let sent = sent.concat();
    for (index, (mut consumer, came)) in consumed.into_iter().enumerate() {
        let of_topic = |message: &&Message| message.header.topic == topic(index).as_str();
        let sent: Vec<_> = sent.iter().filter(of_topic).cloned().collect();
        assert_same(&topic(index), &came, &sent);
        nothing(harness, &mut consumer, "all came").await;
    }
}

/// Checks that messages are delivered in the order of their publishing, whether each is awaited or all are published at
/// once.
pub async fn messages_come_in_the_order_of_their_publishing<H: Harness>(harness: &H) {
    let broker = harness.connect().await;
    let mut consumer = consume(harness, &broker, &harness.channel("ordered", "Ordered")).await;
    let sent = series("Ordered", 200);
    let (waited_for, at_once) = sent.split_at(20);
    publish(harness, &broker, waited_for).await;
    let published = within(harness, "answers", broker.publish_all(at_once.iter().collect())).await;
    assert!(published.iter().all(Result::is_ok), "{published:?}");
    let came = take(harness, &mut consumer, sent.len()).await;
    let came: Vec<_> = came.iter().map(number).collect();
    assert!(came.iter().copied().eq(0..sent.len()), "they came as {came:?}");
}
