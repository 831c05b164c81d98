//! What every broker does, as the tests of the in-memory broker and of RabbitMQ ask it.

use std::time::{Duration, Instant};

use brighter::channel::{
    Broker, BrokerStatus, Channel, ChannelError, DeclareMode, Producer, PublishError, Rejection,
    RejectionKind, SettleError,
};
use brighter::message::{BagValue, MessageBody, MessageHeader, MessageType};
use brighter::{Message, MessageId};

use super::{Place, channel, id, message, next, numbered, publish, until_there, with_buffer};

#[tokio::test]
async fn each_channel_gets_a_complete_copy() {
    let place = Place::new();
    let broker = place.open().await;
    let mut one = broker.consume(&Channel::new("one", "Größe.#")).await.unwrap();
    let mut other = broker.consume(&Channel::new("other", "*.日本")).await.unwrap();
    let mut header = MessageHeader::new(MessageId::new(), "Größe.日本", MessageType::Document)
        .with_correlation_id("of a conversation\0".into())
        .with_causation_id(MessageId::new())
        .with_reply_to("Antwort")
        .with_content_type("application/octet-stream");
    header.handled_count = 7;
    for (name, value) in [
        ("infinite", BagValue::Float(f64::INFINITY)),
        ("a\nline", BagValue::from("\u{2028}\"")),
        ("yes", BagValue::Bool(true)),
        ("least", BagValue::Int(i64::MIN)),
        ("tenth", BagValue::Float(0.1)),
    ] {
        header.bag.insert(name, value);
    }
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let sent = Message::new(header, MessageBody::new(bytes));
    broker.publish(&sent).await.unwrap();
    for consumer in [&mut one, &mut other] {
        let delivery = next(consumer).await;
        assert_eq!(*delivery.message().unwrap(), sent);
        assert_eq!(delivery.redeliveries(), 0);
        delivery.ack().await.unwrap();
    }
}

#[tokio::test]
async fn unconsumed_messages_survive_a_close_in_order() {
    let place = Place::new();
    let broker = place.open().await;
    broker.declare(&channel(|_| ())).await.unwrap();
    publish(&broker, 0..3).await;
    assert_eq!(broker.depth(&channel(|_| ())).await.unwrap(), Some(3));
    broker.close().await;
    assert_eq!(broker.status(), BrokerStatus::Closed);
    assert!(matches!(
        broker.publish(&numbered(3)).await,
        Err(PublishError::Closed)
    ));
    assert!(matches!(
        broker.consume(&channel(|_| ())).await,
        Err(ChannelError::Closed)
    ));

    let broker = place.open().await;
    publish(&broker, 3..5).await;
    let mut consumer = broker.consume(&with_buffer(2)).await.unwrap();
    for number in 0..5 {
        let delivery = next(&mut consumer).await;
        assert_eq!(id(&delivery), number.to_string());
        delivery.ack().await.unwrap();
    }
    broker.close().await;
    assert!(consumer.receive().await.is_none(), "closing ends a consumer");
}

#[tokio::test]
async fn an_unroutable_topic_fails_alone_in_a_batch() {
    let place = Place::new();
    let broker = place.open().await;
    broker.declare(&channel(|_| ())).await.unwrap();
    let (wanted, unwanted, empty) = (message("topic"), message("other"), message(""));
    let results = broker
        .publish_all(vec![&wanted, &unwanted, &empty, &wanted])
        .await;
    let [
        Ok(()),
        Err(PublishError::Unroutable { topic }),
        Err(PublishError::Name(_)),
        Ok(()),
    ] = &results[..]
    else {
        panic!("{results:?}");
    };
    assert_eq!(topic.as_str(), "other");
    assert_eq!(broker.depth(&channel(|_| ())).await.unwrap(), Some(2));
}

#[tokio::test]
async fn released_messages_come_first_and_are_counted() {
    let place = Place::new();
    let broker = place.open().await;
    let mut consumer = broker.consume(&with_buffer(1)).await.unwrap();
    publish(&broker, 0..2).await;
    let first = next(&mut consumer).await;
    drop(first);
    let again = next(&mut consumer).await;
    assert_eq!((id(&again).as_str(), again.redeliveries()), ("0", 1));
    again.ack().await.unwrap();
    assert_eq!(id(&next(&mut consumer).await), "1");
}

#[tokio::test]
async fn undelivered_messages_of_a_dropped_consumer_return_uncounted() {
    let place = Place::new();
    let broker = place.open().await;
    let mut consumer = broker.consume(&with_buffer(10)).await.unwrap();
    publish(&broker, 0..3).await;
    let held = next(&mut consumer).await;
    drop(consumer);
    let mut consumer = broker.consume(&with_buffer(10)).await.unwrap();
    for number in ["1", "2"] {
        let delivery = next(&mut consumer).await;
        assert_eq!((id(&delivery).as_str(), delivery.redeliveries()), (number, 0));
        delivery.ack().await.unwrap();
    }
    // A delivery outlives its consumer.
    held.ack().await.unwrap();
    broker.close().await;
    let broker = place.open().await;
    assert_eq!(broker.depth(&channel(|_| ())).await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_retry_returns_delayed_to_its_channel_alone() {
    let place = Place::new();
    let broker = place.open().await;
    let bystander = Channel::new("bystander", "topic");
    broker.declare(&bystander).await.unwrap();
    let mut consumer = broker.consume(&channel(|_| ())).await.unwrap();
    publish(&broker, 0..3).await;
    let asked = Instant::now();
    let delays = [
        Duration::from_secs(600),
        Duration::from_millis(60),
        Duration::ZERO,
    ];
    for delay in delays {
        next(&mut consumer).await.requeue(delay, true).await.unwrap();
    }
    // The shorter ones are not stuck behind the longest.
    for (number, delay) in [("2", delays[2]), ("1", delays[1])] {
        let delivery = next(&mut consumer).await;
        assert_eq!(id(&delivery), number);
        assert_eq!(delivery.message().unwrap().header.handled_count, 1);
        assert_eq!(delivery.redeliveries(), 0, "a copy is a new message");
        assert!(asked.elapsed() >= delay);
        delivery.ack().await.unwrap();
    }
    assert_eq!(broker.depth(&bystander).await.unwrap(), Some(3));
    assert_eq!(broker.depth(&channel(|_| ())).await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_delay_outlives_the_process_that_asked_for_it() {
    let place = Place::new();
    let broker = place.open().await;
    let mut consumer = broker.consume(&channel(|_| ())).await.unwrap();
    publish(&broker, [0]).await;
    let delay = Duration::from_millis(200);
    let asked = Instant::now();
    next(&mut consumer).await.requeue(delay, true).await.unwrap();
    broker.close().await;
    let broker = place.open().await;
    let mut consumer = broker.consume(&channel(|_| ())).await.unwrap();
    assert_eq!(id(&next(&mut consumer).await), "0");
    assert!(asked.elapsed() >= delay);
}

#[tokio::test]
async fn a_rejected_message_has_its_reason() {
    let place = Place::new();
    let broker = place.open().await;
    let channel = channel(|_| ());
    let mut consumer = broker.consume(&channel).await.unwrap();
    for (kind, name) in [
        (RejectionKind::DeadLetter, &channel.dead_letters),
        (RejectionKind::Invalid, &channel.invalid_messages),
    ] {
        let sent = message("topic");
        broker.publish(&sent).await.unwrap();
        let rejection = Rejection::new(kind, "no such recipient");
        next(&mut consumer).await.reject(rejection.clone()).await.unwrap();
        let [aside] = &broker.messages(name, 10).await.unwrap()[..] else {
            panic!("one message");
        };
        assert_eq!(aside.body, sent.body);
        assert_eq!(aside.header.id, sent.header.id);
        let read = Rejection::read(&aside.header).unwrap();
        assert_eq!((read.rejection, read.attempts), (rejection, Some(1)));
        assert_eq!(read.topic, Some(sent.header.topic));
    }
    assert_eq!(broker.depth(&channel).await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_dead_letter_with_nowhere_to_go_stays() {
    let place = Place::new();
    let broker = place.open().await;
    broker.declare(&channel(|_| ())).await.unwrap();
    let elsewhere = channel(|it| {
        it.declare = DeclareMode::Assume;
        it.dead_letters = "nobody-made-it".into();
    });
    let mut consumer = broker.consume(&elsewhere).await.unwrap();
    publish(&broker, [1]).await;
    let rejection = Rejection::new(RejectionKind::DeadLetter, "wrong");
    let error = next(&mut consumer).await.reject(rejection).await.unwrap_err();
    assert!(matches!(
        error,
        SettleError::NotMoved(PublishError::Unroutable { .. })
    ));
    assert_eq!(id(&next(&mut consumer).await), "1");
}

#[tokio::test]
async fn an_unreadable_row_is_malformed_and_keeps_its_bytes() {
    let place = Place::new();
    let broker = place.open().await;
    let mut consumer = broker.consume(&with_buffer(1)).await.unwrap();
    publish(&broker, 0..2).await;
    let held = next(&mut consumer).await;
    sqlx::query("UPDATE brighter_broker_messages SET header = 'no JSON'")
        .execute(&place.others().await)
        .await
        .unwrap();
    held.ack().await.unwrap();
    let malformed = next(&mut consumer).await;
    let reason = malformed.message().unwrap_err().reason;
    let rejection = Rejection::new(RejectionKind::Invalid, reason);
    malformed.reject(rejection).await.unwrap();
    let [aside] = &broker.messages("c.invalid", 10).await.unwrap()[..] else {
        panic!("one message");
    };
    assert_eq!(aside.body.as_bytes(), b"{}");
    assert_eq!(aside.header.bag.get("unreadableHeader"), Some(&"no JSON".into()));
    assert!(Rejection::read(&aside.header).is_some());
}

#[tokio::test]
async fn settling_after_a_close_is_stale_and_redelivers() {
    let place = Place::new();
    let broker = place.open().await;
    let mut consumer = broker.consume(&channel(|_| ())).await.unwrap();
    publish(&broker, 0..2).await;
    let (acked, late) = (next(&mut consumer).await, next(&mut consumer).await);
    acked.ack().await.unwrap();
    broker.close().await;
    assert!(matches!(late.ack().await, Err(SettleError::Stale)));
    let broker = place.open().await;
    let mut consumer = broker.consume(&channel(|_| ())).await.unwrap();
    let again = next(&mut consumer).await;
    assert_eq!((id(&again).as_str(), again.redeliveries()), ("1", 1));
    assert_eq!(broker.depth(&channel(|_| ())).await.unwrap(), Some(0));
}

#[tokio::test]
async fn assumed_channels_are_found_or_reported_missing() {
    let place = Place::new();
    let broker = place.open().await;
    for mode in [DeclareMode::Validate, DeclareMode::Assume] {
        let error = broker
            .consume(&channel(|it| it.declare = mode))
            .await
            .unwrap_err();
        assert!(
            matches!(&error, ChannelError::Refused { reason } if reason.contains("no channel `c`") || reason.contains("no channel `c.dlq`")),
            "{error:?}"
        );
    }
    broker.declare(&channel(|_| ())).await.unwrap();
    for mode in [DeclareMode::Validate, DeclareMode::Assume] {
        broker.consume(&channel(|it| it.declare = mode)).await.unwrap();
    }
}

#[tokio::test]
async fn a_channel_in_another_form_is_refused_with_both_forms() {
    let place = Place::new();
    let broker = place.open().await;
    broker.declare(&channel(|_| ())).await.unwrap();
    let other = channel(|it| it.limits.length = Some(3));
    let refused = broker.declare(&other).await.unwrap_err().to_string();
    assert!(
        refused.contains("`c` exists with other limits") && refused.contains("length: Some(3)"),
        "{refused}"
    );
    let refused = broker
        .declare(&channel(|it| it.limits.priorities = Some(3)))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("priorities"), "{refused}");
    // One more topic is no other form.
    broker
        .declare(&channel(|it| it.routing_keys.push("more".into())))
        .await
        .unwrap();
    broker.publish(&message("more")).await.unwrap();
    assert_eq!(until_there(&broker, "c").await.len(), 1);
}
