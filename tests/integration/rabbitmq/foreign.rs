//! Messages that others wrote: Brighter for .NET in each of its forms, and nonsense.

use brighter::channel::{Broker, Rejection, RejectionKind};
use brighter::message::MessageType;
use brighter_tests::rabbitmq::{Corner, Raw};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString};

use super::next;

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn properties(headers: &[(&str, AMQPValue)]) -> BasicProperties {
    let mut table = FieldTable::default();
    for (name, value) in headers {
        table.insert((*name).into(), value.clone());
    }
    BasicProperties::default().with_headers(table)
}

#[tokio::test]
async fn every_form_of_dotnet_is_understood() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("dotnet", "greeting");
    let mut consumer = broker.consume(&channel).await.unwrap();
    let raw = Raw::connect().await;
    let id = "3F2504E0-4F89-41D3-9A0C-0305E82C3301";

    let asynchronous = properties(&[
        ("cloudEvents_id", text(id)),
        ("cloudEvents_specversion", text("1.0")),
        ("cloudEvents_type", text("")),
        ("cloudEvents_source", text("http://goparamore.io/")),
        ("cloudEvents_time", text("2026-09-21T14:13:20.123Z")),
        ("MessageType", text("MT_COMMAND")),
        ("Topic", text("greeting")),
        ("HandledCount", AMQPValue::LongInt(1)),
        ("CorrelationId", text("c")),
        ("x-delay", AMQPValue::Double(5.0)),
    ]);
    let synchronous = properties(&[
        ("cloudEvents:id", text(id)),
        ("cloudEvents:time", text("2026-09-21T14:13:20.123Z")),
        ("messagetype", text("mt_command")),
        ("Topic", text("greeting")),
        ("HandledCount", text("1")),
        ("CorrelationId", text("c")),
    ]);
    let ninth = properties(&[
        ("MessageType", text("MT_COMMAND")),
        ("Topic", text("greeting")),
        ("HandledCount", AMQPValue::LongLongInt(1)),
        ("CorrelationId", text("c")),
        ("DeliveryTag", text("1")),
    ]);
    for properties in [asynchronous, synchronous, ninth] {
        let properties = properties
            .with_message_id(id.into())
            .with_type("OrderPlaced".into())
            .with_content_type("application/json".into());
        raw.put(channel.name.as_str(), properties, b"{}").await;
        let delivery = next(&mut consumer).await;
        let header = &delivery.message().unwrap().header;
        assert_eq!(header.id.to_string(), id);
        assert_eq!(header.message_type, MessageType::Command);
        assert_eq!(header.topic, "greeting");
        assert_eq!(header.handled_count, 1);
        assert_eq!(header.correlation_id, Some("c".into()));
        assert_eq!(header.content_type, "application/json");
        delivery.ack().await.unwrap();
    }
}

#[tokio::test]
async fn a_bare_message_is_an_event_under_its_routing_key() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let mut consumer = broker.consume(&corner.channel("bare", "Some.#")).await.unwrap();
    let raw = Raw::connect().await;
    raw.publish(&corner.exchange(), "Some.Topic", BasicProperties::default(), b"")
        .await;
    let delivery = next(&mut consumer).await;
    let message = delivery.message().unwrap();
    assert_eq!(message.header.topic, "Some.Topic");
    assert_eq!(message.header.message_type, MessageType::Event);
    assert!(message.body.is_empty());
    delivery.ack().await.unwrap();
}

#[tokio::test]
async fn malformed_messages_can_be_rejected_unchanged() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("nonsense", "topic");
    let mut consumer = broker.consume(&channel).await.unwrap();
    let raw = Raw::connect().await;
    let not_utf8 = AMQPValue::LongString(LongString::from(vec![0xc3, 0x28]));
    for (name, value) in [
        ("MessageType", text("MT_QUIT")),
        ("Topic", not_utf8.clone()),
        ("CorrelationId", not_utf8),
    ] {
        let properties = properties(&[(name, value.clone())]);
        raw.put(channel.name.as_str(), properties, b"as it came").await;
        let delivery = next(&mut consumer).await;
        let reason = delivery.message().unwrap_err().reason;
        assert!(reason.contains(name), "{reason}");
        delivery
            .reject(Rejection::new(RejectionKind::Invalid, reason))
            .await
            .unwrap();
        let found = raw.take(channel.invalid_messages.as_str()).await;
        assert_eq!(found.data, b"as it came");
        let headers = found.properties.headers().as_ref().unwrap().inner();
        assert_eq!(headers.get(name), Some(&value));
    }
}
