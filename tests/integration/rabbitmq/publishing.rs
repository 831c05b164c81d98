//! Publishing: confirmed, persistent, returned when no queue wants it.

use std::time::{Duration, UNIX_EPOCH};

use brighter::channel::{Broker, Channel, Producer, PublishError};
use brighter::message::{MAX_NAME_BYTES, MessageBody};
use brighter_tests::rabbitmq::{Corner, Raw};
use futures_util::future::join_all;
use lapin::types::AMQPValue;

use super::{message, next};

#[tokio::test]
async fn every_header_and_the_body_arrive() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let mut consumer = broker.consume(&corner.channel("whole", "Task.*")).await.unwrap();

    let mut sent = message("Task.Reminder");
    sent.header.timestamp = UNIX_EPOCH + Duration::from_millis(1_790_000_000_123);
    sent.header.correlation_id = Some("conversation".into());
    sent.header.content_type = "text/plain".into();
    sent.header.handled_count = 2;
    sent.header.bag.insert("tenant", "nørth");
    sent.header.bag.insert("priority", -3);
    sent.header.bag.insert("share", 0.25);
    sent.header.bag.insert("urgent", true);
    sent.body = MessageBody::new((0..=255).cycle().take(300_000).collect::<Vec<u8>>());
    broker.publish(&sent).await.unwrap();

    let delivery = next(&mut consumer).await;
    assert_eq!(delivery.message().unwrap(), &sent);
    delivery.ack().await.unwrap();
}

#[tokio::test]
async fn a_published_message_is_in_its_queue_and_persistent() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("kept", "topic");
    drop(broker.consume(&channel).await.unwrap());
    let raw = Raw::connect().await;

    let sent = message("topic");
    broker.publish(&sent).await.unwrap();
    let found = raw.take(channel.name.as_str()).await;
    assert_eq!(*found.properties.delivery_mode(), Some(2));
    assert_eq!(
        found.properties.message_id().as_ref().unwrap().as_str(),
        sent.header.id.to_string()
    );
    let headers = found.properties.headers().as_ref().unwrap().inner();
    assert_eq!(
        headers.get("MessageType"),
        Some(&AMQPValue::LongString("MT_EVENT".into()))
    );
    assert_eq!(headers.get("HandledCount"), Some(&AMQPValue::LongInt(0)));
}

#[tokio::test]
async fn exactly_those_that_no_queue_wants_come_back() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("wanted", "wanted");
    drop(broker.consume(&channel).await.unwrap());

    for _ in 0..5 {
        let messages: Vec<_> = (0..500)
            .map(|n| message(if n % 7 == 3 { "unwanted" } else { "wanted" }))
            .collect();
        let results = join_all(messages.iter().map(|message| broker.publish(message))).await;
        for (message, result) in messages.iter().zip(results) {
            match result {
                Ok(()) => assert_eq!(message.header.topic, "wanted"),
                Err(PublishError::Unroutable { topic }) => {
                    assert_eq!(topic, "unwanted");
                    assert_eq!(message.header.topic, "unwanted");
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

#[tokio::test]
async fn messages_keep_their_order() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let mut consumer = broker.consume(&corner.channel("ordered", "topic")).await.unwrap();
    let messages: Vec<_> = (0..600).map(|_| message("topic")).collect();
    let publishing = join_all(messages.iter().map(|message| broker.publish(message)));
    let receiving = async {
        let mut ids = Vec::new();
        for _ in 0..messages.len() {
            let delivery = next(&mut consumer).await;
            ids.push(super::id(&delivery));
            delivery.ack().await.unwrap();
        }
        ids
    };
    let (published, ids) = futures_util::future::join(publishing, receiving).await;
    assert!(published.iter().all(Result::is_ok));
    let sent: Vec<_> = messages.iter().map(|message| message.header.id.clone()).collect();
    assert_eq!(ids, sent);
}

#[tokio::test]
async fn a_full_queue_refuses() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let raw = Raw::connect().await;
    let queue = corner.queue("full");
    let mut arguments = lapin::types::FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
    arguments.insert(
        "x-overflow".into(),
        AMQPValue::LongString("reject-publish".into()),
    );
    let durable = lapin::options::QueueDeclareOptions {
        durable: true,
        ..Default::default()
    };
    raw.channel
        .queue_declare(queue.as_str().into(), durable, arguments)
        .await
        .unwrap();
    let exchange = corner.exchange();
    raw.channel
        .queue_bind(
            queue.into(),
            exchange.into(),
            "full".into(),
            Default::default(),
            Default::default(),
        )
        .await
        .unwrap();

    broker.publish(&message("full")).await.unwrap();
    let second = broker.publish(&message("full")).await;
    assert!(matches!(second, Err(PublishError::Refused { .. })), "{second:?}");
}

#[tokio::test]
async fn messages_the_broker_cannot_parse_are_refused_here() {
    let corner = Corner::new();
    let broker = corner.builder().max_message_bytes(1000).connect().await.unwrap();

    let long = message(&"t".repeat(MAX_NAME_BYTES + 1));
    assert!(matches!(broker.publish(&long).await, Err(PublishError::Name(_))));
    let mut large = message("topic");
    large.body = MessageBody::new(vec![0; 1001]);
    let refused = broker.publish(&large).await;
    assert!(
        matches!(
            refused,
            Err(PublishError::TooLarge {
                bytes: 1001,
                limit: 1000
            })
        ),
        "{refused:?}"
    );
    let mut wordy = message("topic");
    wordy.header.bag.insert("words", "w".repeat(200_000));
    assert!(matches!(
        broker.publish(&wordy).await,
        Err(PublishError::TooLarge { .. })
    ));
    let mut steering = message("topic");
    steering.header.bag.insert("CC", "elsewhere");
    assert!(matches!(
        broker.publish(&steering).await,
        Err(PublishError::Unroutable { .. })
    ));
}

#[tokio::test]
async fn an_exchange_that_was_deleted_is_declared_again() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel: Channel = corner.channel("again", "topic");
    drop(broker.consume(&channel).await.unwrap());
    broker.publish(&message("topic")).await.unwrap();
    let raw = Raw::connect().await;
    raw.channel
        .exchange_delete(corner.exchange().into(), Default::default())
        .await
        .unwrap();
    let refused = broker.publish(&message("topic")).await;
    assert!(
        matches!(&refused, Err(PublishError::Refused { reason }) if reason.contains(&corner.exchange())),
        "{refused:?}"
    );
    // There again, and nobody bound.
    let unroutable = broker.publish(&message("topic")).await;
    assert!(
        matches!(unroutable, Err(PublishError::Unroutable { .. })),
        "{unroutable:?}"
    );
}

#[tokio::test]
async fn a_batch_keeps_order_and_has_separate_outcomes() {
    let corner = Corner::new();
    let broker = corner.builder().max_message_bytes(1000).connect().await.unwrap();
    let mut consumer = broker.consume(&corner.channel("batch", "wanted")).await.unwrap();
    let mut messages: Vec<_> = (0..700)
        .map(|n| message(if n % 7 == 3 { "unwanted" } else { "wanted" }))
        .collect();
    messages[5].body = MessageBody::new(vec![0; 1001]);

    let outcomes = broker.publish_all(messages.iter().collect()).await;
    let mut expected = Vec::new();
    for (n, (message, outcome)) in messages.iter().zip(outcomes).enumerate() {
        match outcome {
            Ok(()) => expected.push(message.header.id.clone()),
            Err(PublishError::TooLarge { .. }) => assert_eq!(n, 5),
            Err(PublishError::Unroutable { .. }) => assert_eq!(n % 7, 3),
            Err(error) => panic!("{n}: {error:?}"),
        }
    }
    assert_eq!(expected.len(), 599);
    for expected in expected {
        let delivery = next(&mut consumer).await;
        assert_eq!(super::id(&delivery), expected);
        delivery.ack().await.unwrap();
    }
    assert!(broker.publish_all(Vec::new()).await.is_empty());
    broker.close().await;
    let closed = broker.publish_all(messages.iter().take(3).collect()).await;
    assert!(
        closed
            .iter()
            .all(|outcome| matches!(outcome, Err(PublishError::Closed))),
        "{closed:?}"
    );
}

/// A message that makes the broker close the channel is refused; those that were on the way with it arrive,
/// and are not blamed.
#[tokio::test]
async fn a_closed_channel_refuses_only_the_culprit() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("others", "#");
    drop(broker.consume(&channel).await.unwrap());
    corner.allow_topics("^allowed$").await;
    let messages: Vec<_> = (0..60)
        .map(|n| message(if n % 25 == 20 { "forbidden" } else { "allowed" }))
        .collect();

    let outcomes = broker.publish_all(messages.iter().collect()).await;
    let mut missing = std::collections::HashSet::new();
    for (n, (message, outcome)) in messages.iter().zip(outcomes).enumerate() {
        match outcome {
            Err(PublishError::Refused { reason }) => {
                assert!(n % 25 == 20 && reason.contains("forbidden"), "{n}: {reason}");
            }
            Ok(()) => assert!(n % 25 != 20 && missing.insert(message.header.id.to_string())),
            Err(error) => panic!("{n}: {error:?}"),
        }
    }
    assert_eq!(missing.len(), 58);
    // Alone, it is known at once; and the next finds a new channel.
    let alone = broker.publish(&message("forbidden")).await;
    assert!(matches!(alone, Err(PublishError::Refused { .. })), "{alone:?}");
    broker.publish(&message("allowed")).await.unwrap();
    // They may be there twice, and none is missing.
    let raw = Raw::connect().await;
    while !missing.is_empty() {
        let found = raw.take(channel.name.as_str()).await;
        missing.remove(found.properties.message_id().as_ref().unwrap().as_str());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_publish_at_once() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("many", "topic");
    drop(broker.consume(&channel).await.unwrap());
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let broker = broker.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    broker.publish(&message("topic")).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    Raw::connect().await.until_depth(channel.name.as_str(), 500).await;
}
