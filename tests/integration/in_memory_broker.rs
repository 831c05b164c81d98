//! The in-memory broker, through its ports.

use std::time::Duration;

use brighter::channel::{
    Broker, Channel, ChannelError, ChannelUsage, Consumer, Delivery, Producer, PublishError, Rejection,
    RejectionKind,
};
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::{InMemoryBroker, Message, MessageId};

use crate::log::Log;

fn message(topic: &str) -> Message {
    let header = MessageHeader::new(MessageId::new(), topic, MessageType::Event);
    Message::new(header, MessageBody::new("{}"))
}

fn channel(name: &str, key: &str, buffer: u16) -> Channel {
    let mut channel = Channel::new(name, key);
    channel.buffer = buffer.try_into().unwrap();
    channel
}

async fn next(consumer: &mut Consumer) -> Delivery {
    consumer.receive().await.expect("not closed").expect("not lost")
}

fn id(delivery: &Delivery) -> MessageId {
    delivery.message().unwrap().header.id.clone()
}

/// Whether the consumer has nothing to give, once everything that can run has run.
async fn is_idle(consumer: &mut Consumer) -> bool {
    tokio::time::timeout(Duration::from_millis(1), consumer.receive())
        .await
        .is_err()
}

#[tokio::test(start_paused = true)]
async fn each_channel_gets_a_copy_and_consumers_of_one_compete() {
    let broker = InMemoryBroker::new();
    let mut alone = broker.consume(&channel("alone", "a.#", 100)).await.unwrap();
    let mut first = broker.consume(&channel("shared", "*.b", 1)).await.unwrap();
    let mut second = broker.consume(&channel("shared", "*.b", 1)).await.unwrap();
    let (one, two) = (message("a.b"), message("a.b"));
    broker.publish(&one).await.unwrap();
    broker.publish(&two).await.unwrap();

    let (first_got, second_got) = (next(&mut first).await, next(&mut second).await);
    assert_eq!(
        (id(&first_got), id(&second_got)),
        (one.header.id.clone(), two.header.id.clone())
    );
    assert_eq!(*first_got.message().unwrap(), one, "every header and the body");
    assert!(is_idle(&mut first).await && is_idle(&mut second).await);
    for expected in [&one, &two] {
        let delivery = next(&mut alone).await;
        assert_eq!(id(&delivery), expected.header.id);
        delivery.ack().await.unwrap();
    }
    first_got.ack().await.unwrap();
    second_got.ack().await.unwrap();
    assert!(is_idle(&mut first).await && is_idle(&mut second).await);
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_buffer_at_once() {
    let broker = InMemoryBroker::new();
    let mut consumer = broker.consume(&channel("c", "t", 2)).await.unwrap();
    for _ in 0..3 {
        broker.publish(&message("t")).await.unwrap();
    }
    let (first, _second) = (next(&mut consumer).await, next(&mut consumer).await);
    assert!(is_idle(&mut consumer).await);
    let (third, acked) = tokio::join!(next(&mut consumer), first.ack());
    acked.unwrap();
    third.ack().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn unsettled_messages_come_again_first() {
    let broker = InMemoryBroker::new();
    let mut consumer = broker.consume(&channel("c", "t", 10)).await.unwrap();
    let (one, two) = (message("t"), message("t"));
    broker.publish(&one).await.unwrap();
    broker.publish(&two).await.unwrap();
    drop(next(&mut consumer).await);
    drop(consumer);
    let mut other = broker.consume(&channel("c", "t", 10)).await.unwrap();
    let again = next(&mut other).await;
    assert_eq!(
        (id(&again), again.message().unwrap().header.handled_count),
        (one.header.id, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_requeued_message_returns_delayed_to_its_own_channel() {
    let broker = InMemoryBroker::new();
    let mut consumer = broker.consume(&channel("c", "t", 10)).await.unwrap();
    let mut other = broker.consume(&channel("other", "t", 10)).await.unwrap();
    broker.publish(&message("t")).await.unwrap();
    next(&mut other).await.ack().await.unwrap();
    let began = tokio::time::Instant::now();
    next(&mut consumer)
        .await
        .requeue(Duration::from_secs(30), true)
        .await
        .unwrap();
    let again = next(&mut consumer).await;
    assert!(began.elapsed() >= Duration::from_secs(30));
    assert_eq!(again.message().unwrap().header.handled_count, 1);
    assert!(is_idle(&mut other).await);
}

#[tokio::test]
async fn set_aside_it_keeps_its_bytes_and_says_why() {
    let broker = InMemoryBroker::new();
    let mut consumer = broker.consume(&channel("c", "t", 10)).await.unwrap();
    for kind in [RejectionKind::DeadLetter, RejectionKind::Invalid] {
        broker.publish(&message("t")).await.unwrap();
        next(&mut consumer)
            .await
            .reject(Rejection::new(kind, "wrong"))
            .await
            .unwrap();
    }
    for (channel, reason) in [("c.dlq", "DeliveryError"), ("c.invalid", "Unacceptable")] {
        let [message] = &broker.messages(channel)[..] else {
            panic!("one in {channel}")
        };
        let header = |name| {
            message
                .header
                .bag
                .get(name)
                .and_then(|value| value.as_str())
                .unwrap()
        };
        assert_eq!(message.body.as_bytes(), b"{}");
        assert_eq!(
            (header("rejectionReason"), header("rejectionMessage")),
            (reason, "wrong")
        );
        assert_eq!(
            (header("originalTopic"), header("originalMessageType")),
            ("t", "MT_EVENT")
        );
    }
}

#[tokio::test]
async fn a_topic_that_nobody_wants_is_unroutable() {
    let broker = InMemoryBroker::new();
    broker.declare(&channel("c", "t", 1)).await.unwrap();
    let error = broker.publish(&message("other")).await.unwrap_err();
    assert!(
        matches!(&error, PublishError::Unroutable { topic } if *topic == "other"),
        "{error}"
    );
    broker.declare(&channel("late", "other", 1)).await.unwrap();
    broker.publish(&message("other")).await.unwrap();
    assert_eq!(broker.messages("late").len(), 1);
}

#[tokio::test]
async fn a_full_channel_refuses_and_the_others_get_their_copies() {
    let log = Log::default();
    let _guard = log.here();
    let broker = InMemoryBroker::new().limit(1);
    broker.declare(&channel("full", "t.one", 1)).await.unwrap();
    broker.declare(&channel("empty", "t.*", 1)).await.unwrap();
    broker.declare(&channel("full", "t.two", 1)).await.unwrap();
    broker.publish(&message("t.one")).await.unwrap();
    let mut empty = broker.consume(&channel("empty", "t.*", 1)).await.unwrap();
    for _ in 0..3 {
        next(&mut empty).await.ack().await.unwrap();
        let error = broker.publish(&message("t.one")).await.unwrap_err();
        assert!(
            matches!(&error, PublishError::ChannelFull { channel, waiting: 1, others: 1 } if *channel == "full"),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .contains("channel `full` is full, with 1 messages"),
            "{error}"
        );
    }
    let full = |usages: Vec<ChannelUsage>| {
        let full = usages.into_iter().filter(ChannelUsage::is_full);
        full.map(|usage| (usage.name.to_string(), usage.is_abandoned()))
            .collect::<Vec<_>>()
    };
    let expected = [("empty".to_owned(), false), ("full".to_owned(), true)];
    assert_eq!(full(broker.channels().await.unwrap()), expected);
    // Said once, until it has taken one again.
    assert_eq!(log.lines_with("a channel is full").len(), 1, "{log:?}");
    let mut full = broker.consume(&channel("full", "t.one", 1)).await.unwrap();
    next(&mut full).await.ack().await.unwrap();
    next(&mut empty).await.ack().await.unwrap();
    broker.publish(&message("t.one")).await.unwrap();
    next(&mut empty).await.ack().await.unwrap();
    drop(full);
    broker.publish(&message("t.one")).await.unwrap_err();
    assert_eq!(log.lines_with("a channel is full").len(), 2, "{log:?}");
}

#[tokio::test]
async fn names_that_no_broker_takes_are_refused() {
    let broker = InMemoryBroker::new();
    assert!(matches!(
        broker.publish(&message("")).await,
        Err(PublishError::Name(_))
    ));
    let long = "x".repeat(256);
    assert!(matches!(
        broker.consume(&channel(&long, "t", 1)).await,
        Err(ChannelError::Name(_))
    ));
}

#[tokio::test]
async fn closed_it_ends_its_consumers_and_takes_nothing() {
    let broker = InMemoryBroker::new();
    let mut consumer = broker.consume(&channel("c", "t", 1)).await.unwrap();
    let (end, ()) = tokio::join!(consumer.receive(), broker.close());
    assert!(end.is_none());
    assert!(matches!(
        broker.publish(&message("t")).await,
        Err(PublishError::Closed)
    ));
    assert!(matches!(
        broker.consume(&channel("c", "t", 1)).await,
        Err(ChannelError::Closed)
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_consumers_share_many_messages_exactly() {
    const MESSAGES: usize = 20_000;
    let broker = InMemoryBroker::new();
    broker.declare(&channel("c", "t", 1)).await.unwrap();
    let (sender, mut handled) = tokio::sync::mpsc::unbounded_channel();
    for buffer in [1, 2, 7, 50] {
        let mut consumer = broker.consume(&channel("c", "t", buffer)).await.unwrap();
        let sender = sender.clone();
        tokio::spawn(async move {
            while let Some(Ok(delivery)) = consumer.receive().await {
                let id = id(&delivery);
                delivery.ack().await.unwrap();
                if sender.send(id).is_err() {
                    return;
                }
            }
        });
    }
    let mut sent = std::collections::HashSet::new();
    for _ in 0..MESSAGES {
        let message = message("t");
        broker.publish(&message).await.unwrap();
        sent.insert(message.header.id);
    }
    for _ in 0..MESSAGES {
        assert!(sent.remove(&handled.recv().await.unwrap()), "once each");
    }
    broker.close().await;
}

#[tokio::test]
async fn publishing_in_a_loop_lets_others_run() {
    let broker = InMemoryBroker::new();
    let mut consumer = broker.consume(&channel("c", "t", 1)).await.unwrap();
    let first = tokio::spawn(async move { id(&next(&mut consumer).await) });
    let mut published = 0;
    while !first.is_finished() {
        broker.publish(&message("t")).await.unwrap();
        published += 1;
        assert!(
            published < 1_000,
            "of one thread, the consumer has not had a turn"
        );
    }
}
