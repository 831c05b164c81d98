//! Dead letters go back to their channel, on every broker: see also E04 of the faults.

use brighter::channel::{Broker, Channel, DeadLetter, Rejection, RejectionKind, Replay, ReplayError};
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::{InMemoryBroker, Message, SqliteBroker};
use brighter_tests::rabbitmq::{Corner, Raw};
use brighter_tests::wait::deadline;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, Timestamp};
use tokio::time::timeout;

async fn next(consumer: &mut brighter::channel::Consumer) -> brighter::channel::Delivery {
    let next = timeout(deadline(), consumer.receive()).await;
    next.expect("in time").expect("not closed").expect("not lost")
}

fn is_out_of_stock(letter: &DeadLetter<'_>) -> bool {
    letter.rejected.as_ref().unwrap().rejection.reason == "no stock"
}

/// Two of four go back, to their channel alone, and come as they came first; a second run finds nothing to do.
async fn the_chosen_go_back(broker: impl Broker, channel: Channel, other: Channel) {
    let topic = channel.routing_keys[0].clone();
    let mut consumer = broker.consume(&channel).await.unwrap();
    for number in 0..4 {
        let mut header = MessageHeader::new(number.to_string().into(), topic.clone(), MessageType::Command);
        header.bag.insert("tenant", "north");
        broker
            .publish(&Message::new(header, MessageBody::new("{}")))
            .await
            .unwrap();
        let reason = if number % 2 == 0 {
            "no stock"
        } else {
            "no customer"
        };
        let delivery = next(&mut consumer).await;
        delivery
            .reject(Rejection::new(RejectionKind::DeadLetter, reason))
            .await
            .unwrap();
    }
    // It wants the topic too, and gets none of them.
    drop(broker.consume(&other).await.unwrap());
    let replay = Replay::new("stock has come", &channel);
    let replayed = replay.run(&broker, is_out_of_stock).await.unwrap();
    assert_eq!((replayed.replayed, replayed.left, replayed.came_back), (2, 2, 0));
    for id in ["0", "2"] {
        let delivery = next(&mut consumer).await;
        let message = delivery.message().unwrap();
        assert_eq!(
            (message.header.id.to_string().as_str(), &message.header.topic),
            (id, &topic)
        );
        assert_eq!(message.header.handled_count, 0);
        assert_eq!(Rejection::read(&message.header), None);
        let bag = |name: &str| message.header.bag.get(name).and_then(|value| value.as_str());
        assert_eq!(
            (bag("tenant"), bag(Replay::REPLAYED_BY)),
            (Some("north"), Some("stock has come"))
        );
        // One of them fails again.
        if id == "0" {
            delivery.ack().await.unwrap();
        } else {
            delivery
                .reject(Rejection::new(RejectionKind::DeadLetter, "no stock"))
                .await
                .unwrap();
        }
    }
    let again = replay.run(&broker, is_out_of_stock).await.unwrap();
    assert_eq!((again.replayed, again.left, again.came_back), (0, 2, 1));
    assert_eq!(broker.depth(&other).await.unwrap(), Some(0));
    let mut astray = channel.clone();
    astray.name = format!("{}.astray", channel.name).into();
    let astray = Replay::new("astray", &astray)
        .run(&broker, |_| true)
        .await
        .unwrap_err();
    assert!(matches!(astray, ReplayError::NotMoved { .. }), "{astray:?}");
    broker.close().await;
}

#[tokio::test]
async fn in_memory_replay_returns_selected_messages_to_their_channel() {
    let other = Channel::new("other", "topic");
    the_chosen_go_back(InMemoryBroker::new(), Channel::new("c", "topic"), other).await;
}

#[tokio::test]
async fn in_a_file_the_chosen_go_back_to_their_channel() {
    let folder = tempfile::tempdir().unwrap();
    let broker = SqliteBroker::open(folder.path().join("broker.db")).await.unwrap();
    let other = Channel::new("other", "topic");
    the_chosen_go_back(broker, Channel::new("c", "topic"), other).await;
}

#[tokio::test]
async fn on_rabbitmq_the_chosen_go_back_to_their_channel() {
    let corner = Corner::new();
    let (channel, other) = (
        corner.channel("replay", "topic"),
        corner.channel("other", "topic"),
    );
    the_chosen_go_back(corner.connect().await, channel, other).await;
}

/// What a message cannot hold goes with it all the same; what is no message stays.
#[tokio::test]
async fn rabbitmq_replay_keeps_foreign_headers_and_skips_malformed_messages() {
    let corner = Corner::new();
    let (broker, channel) = (corner.connect().await, corner.channel("replay", "topic"));
    let mut consumer = broker.consume(&channel).await.unwrap();
    let raw = Raw::connect().await;
    let mut headers = FieldTable::default();
    headers.insert("since".into(), AMQPValue::Timestamp(1_700_000_000 as Timestamp));
    headers.insert(
        "rejectionReason".into(),
        AMQPValue::LongString("DeliveryError".into()),
    );
    headers.insert("HandledCount".into(), AMQPValue::LongInt(4));
    let properties = BasicProperties::default()
        .with_headers(headers)
        .with_app_id("of another".into());
    let dead = channel.dead_letters.as_str();
    raw.put(dead, properties, b"bytes").await;
    let mut headers = FieldTable::default();
    headers.insert("MessageType".into(), AMQPValue::LongString("MT_NONSENSE".into()));
    raw.put(
        dead,
        BasicProperties::default().with_headers(headers),
        b"nonsense",
    )
    .await;
    raw.until_depth(dead, 2).await;

    let replayed = Replay::new("by hand", &channel)
        .run(&broker, |_| true)
        .await
        .unwrap();
    assert_eq!(
        (replayed.replayed, replayed.unreadable, replayed.unseen),
        (1, 1, 0)
    );
    next(&mut consumer).await.release();
    drop(consumer);
    let back = raw.take(channel.name.as_str()).await;
    assert_eq!(back.data, b"bytes");
    assert_eq!(back.properties.app_id().as_ref().unwrap().as_str(), "of another");
    let headers = back.properties.headers().as_ref().unwrap().inner();
    assert_eq!(headers.get("since"), Some(&AMQPValue::Timestamp(1_700_000_000)));
    assert_eq!(headers.get("HandledCount"), Some(&AMQPValue::LongInt(0)));
    assert_eq!(headers.get("rejectionReason"), None);
    assert_eq!(raw.take(dead).await.data, b"nonsense");
    broker.close().await;
}
