//! With pika, an independent client: what we write as it reads it, and what others write as we read it.

use std::process::Stdio;

use brighter::channel::{Broker, Producer, Rejection, RejectionKind};
use brighter::message::{EventAttributes, MessageBody, MessageHeader, MessageType};
use brighter::prelude::*;
use brighter::trace::TraceContext;
use brighter_tests::rabbitmq::{Corner, Raw, url};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::next;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const ID: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

pub(super) async fn peer(arguments: &[&str], input: &str) -> String {
    let python = brighter_tests::servers::variable("BRIGHTER_TEST_PIKA");
    let mut child = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/interop/peer.py"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "the peer failed");
    String::from_utf8(output.stdout).unwrap()
}

pub(super) async fn read(queue: &str) -> Value {
    serde_json::from_str(&peer(&["read", &url(), queue], "").await).unwrap()
}

/// Puts a message into a queue.
pub(super) async fn write(queue: &str, properties: Value, headers: Value, body: &str) {
    let message = json!({
        "exchange": "", "routing_key": queue, "properties": properties, "headers": headers, "body": body,
    });
    peer(&["write", &url()], &message.to_string()).await;
}

#[tokio::test]
async fn our_message_is_on_the_wire_as_dotnet_writes_it() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("ours", "Order.Placed");
    drop(broker.consume(&channel).await.unwrap());
    let mut header = MessageHeader::new(ID.into(), "Order.Placed", MessageType::Command)
        .with_correlation_id("conversation".into())
        .with_reply_to("Answers")
        .with_event(
            EventAttributes::default()
                .with_type("order.placed")
                .with_source("urn:shop")
                .with_subject("seven")
                .with_data_schema("urn:schema"),
        )
        .with_trace(
            TraceContext::default()
                .with_traceparent(PARENT)
                .with_tracestate("vendor=1")
                .with_baggage("tenant=north"),
        );
    header.timestamp = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_790_000_000_123);
    header.handled_count = 2;
    header.bag.insert("text", "nørth");
    header.bag.insert("whole", 7);
    header.bag.insert("half", 0.5);
    header.bag.insert("yes", true);
    let sent = brighter::Message::new(header, MessageBody::new(r#"{"a":1}"#));
    broker.publish(&sent).await.unwrap();

    let found = read(channel.name.as_str()).await;
    assert_eq!(found["exchange"], corner.exchange());
    assert_eq!(found["routing_key"], "Order.Placed");
    assert_eq!(found["body"], r#"{"a":1}"#);
    // Nothing else: no correlation id, expiration, priority, user or application.
    let mime = "application/json; charset=utf-8";
    let properties = json!({
        "content_type": mime, "type": mime, "message_id": ID, "timestamp": 1_790_000_000,
        "delivery_mode": 2, "reply_to": "Answers",
    });
    assert_eq!(found["properties"], properties);
    let headers = json!({
        "MessageType": ["S", "MT_COMMAND"],
        "Topic": ["S", "Order.Placed"],
        "HandledCount": ["I", 2],
        "CorrelationId": ["S", "conversation"],
        "cloudEvents_id": ["S", ID],
        "cloudEvents_specversion": ["S", "1.0"],
        "cloudEvents_type": ["S", "order.placed"],
        "cloudEvents_source": ["S", "urn:shop"],
        "cloudEvents_time": ["S", "2026-09-21T14:13:20.123Z"],
        "cloudEvents_subject": ["S", "seven"],
        "cloudEvents_dataschema": ["S", "urn:schema"],
        "cloudEvents_traceparent": ["S", PARENT],
        "cloudevents_tracestate": ["S", "vendor=1"],
        "cloudevents_:tracestate": ["S", "vendor=1"],
        "cloudEvents:traceparent": ["S", PARENT],
        "cloudevents:tracestate": ["S", "vendor=1"],
        "baggage": ["S", "tenant=north"],
        "text": ["S", "nørth"],
        "whole": ["l", 7],
        "half": ["d", 0.5],
        "yes": ["t", true],
    });
    assert_eq!(found["headers"], headers);
}

#[tokio::test]
async fn every_form_of_dotnet_that_pika_writes_is_read() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("theirs", "greeting");
    let mut consumer = broker.consume(&channel).await.unwrap();
    let mime = json!({
        "content_type": "application/json", "type": "application/json; charset=utf-8",
        "message_id": ID, "delivery_mode": 1, "timestamp": 1_790_000_000, "reply_to": "Answers",
    });
    let common = json!({
        "MessageType": ["S", "MT_COMMAND"], "Topic": ["S", "greeting"], "HandledCount": ["I", 1],
        "CorrelationId": ["S", "c"], "tenant": ["S", "north"],
    });
    let with = |more: Value| {
        let mut headers = common.clone();
        headers
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        headers
    };
    let of_client = |prefix: &str| {
        with(json!({
            format!("{prefix}id"): ["S", ID], format!("{prefix}specversion"): ["S", "1.0"],
            format!("{prefix}type"): ["S", "greeting.v1"], format!("{prefix}source"): ["S", "http://goparamore.io/"],
            format!("{prefix}time"): ["S", "2026-09-21T14:13:20.123Z"],
            format!("{prefix}traceparent"): ["S", PARENT],
            format!("{prefix}tracestate").to_lowercase(): ["S", "vendor=1"],
        }))
    };
    for (form, headers) in [
        ("client 7", of_client("cloudEvents_")),
        ("client 6", of_client("cloudEvents:")),
        (
            "version 9",
            with(json!({ "DeliveryTag": ["S", "1"], "x-delay": ["I", 5] })),
        ),
        ("double delay", with(json!({ "x-delay": ["d", 5.0] }))),
        ("long count", with(json!({ "HandledCount": ["l", 1] }))),
        ("byte count", with(json!({ "HandledCount": ["B", 1] }))),
        ("text count", with(json!({ "HandledCount": ["S", "1"] }))),
    ] {
        write(channel.name.as_str(), mime.clone(), headers.clone(), "{}").await;
        let delivery = next(&mut consumer).await;
        let header = &delivery.message().unwrap().header;
        assert_eq!(header.id.to_string(), ID, "{form}");
        assert_eq!(header.topic, "greeting", "{form}");
        assert_eq!(header.message_type, MessageType::Command, "{form}");
        assert_eq!(header.handled_count, 1, "{form}");
        assert_eq!(header.correlation_id, Some("c".into()), "{form}");
        assert_eq!(header.reply_to, Some("Answers".into()), "{form}");
        assert_eq!(header.bag.len(), 1, "{form}: {:?}", header.bag);
        if form.starts_with("client") {
            assert_eq!(header.event_type(), "greeting.v1", "{form}");
            assert_eq!(header.trace.traceparent(), Some(PARENT), "{form}");
            assert_eq!(header.trace.tracestate(), Some("vendor=1"), "{form}");
        }
        if headers.get("x-delay").is_some() {
            assert_eq!(header.delayed.as_millis(), 5, "{form}");
        }
        delivery.ack().await.unwrap();
    }
}

#[tokio::test]
async fn malformed_headers_are_read_or_rejected_with_a_reason() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("malformed", "greeting");
    let mut consumer = broker.consume(&channel).await.unwrap();
    let raw = Raw::connect().await;
    for (properties, headers, reason) in [
        (json!({ "type": "OrderPlaced" }), json!({}), None),
        (json!({ "content_type": "nonsense" }), json!({}), None),
        (json!({}), json!({ "CorrelationId": ["I", 7] }), None),
        (
            json!({}),
            json!({ "cloudEvents_traceparent": ["S", "forged\r\n"] }),
            None,
        ),
        (
            json!({}),
            json!({ "MessageType": ["S", "MT_QUIT"] }),
            Some("unknown MessageType"),
        ),
        (json!({}), json!({ "tenant": ["x", "c328"] }), None),
        (json!({}), json!({ "Topic": ["x", "c328"] }), Some("not UTF-8")),
        (
            json!({}),
            json!({ "Topic": ["S", "a\nb"] }),
            Some("control characters"),
        ),
        (
            json!({ "reply_to": "a\nb" }),
            json!({}),
            Some("control characters"),
        ),
    ] {
        write(channel.name.as_str(), properties, headers, "as it came").await;
        let delivery = next(&mut consumer).await;
        match (
            delivery
                .message()
                .map(|_| ())
                .map_err(|malformed| malformed.reason),
            reason,
        ) {
            (Ok(()), None) => delivery.ack().await.unwrap(),
            (Err(said), Some(reason)) => {
                assert!(said.contains(reason), "{said}");
                let rejection = Rejection::new(RejectionKind::Invalid, said);
                delivery.reject(rejection).await.unwrap();
                let found = raw.take(channel.invalid_messages.as_str()).await;
                assert_eq!(found.data, b"as it came");
            }
            (found, expected) => panic!("{found:?}, and expected {expected:?}"),
        }
    }
}

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Greet", no_id)]
#[serde(rename_all = "camelCase")]
struct Greet {
    name: String,
}

#[derive(Serialize, Deserialize, Message)]
#[message(topic = "Greeted", type = "greeted.v1", kind = "event")]
struct Greeted {
    greeting: String,
}

struct Greeter;

#[handler]
impl Handler<Greet> for Greeter {
    async fn handle(&self, greet: &Greet, cx: &Context) -> Result<(), BoxError> {
        let greeting = format!("Hello, {}", greet.name);
        cx.post(Greeted { greeting }).await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_command_of_dotnet_is_handled_and_answered_readably() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("greet", "Greet");
    let answers = corner.channel("greeted", "Greeted");
    drop(broker.consume(&answers).await.unwrap());
    let processor = CommandProcessor::builder()
        .handler(Greeter)
        .broker(broker)
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor)
        .subscription(Subscription::<Greet>::new("greet").channel(channel.name.clone()))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    let headers = json!({
        "MessageType": ["S", "MT_COMMAND"], "Topic": ["S", "Greet"], "HandledCount": ["I", 0],
        "CorrelationId": ["S", "conversation"], "cloudEvents_traceparent": ["S", PARENT],
    });
    let properties =
        json!({ "content_type": "application/json", "type": "application/json", "message_id": ID });
    write(
        channel.name.as_str(),
        properties,
        headers,
        r#"{"id":"1","correlationId":null,"name":"Ian"}"#,
    )
    .await;

    let found = read(answers.name.as_str()).await;
    assert_eq!(found["body"], r#"{"greeting":"Hello, Ian"}"#);
    for (name, value) in [
        ("MessageType", "MT_EVENT"),
        ("cloudEvents_type", "greeted.v1"),
        ("CorrelationId", "conversation"),
        ("cloudEvents_traceparent", PARENT),
    ] {
        assert_eq!(found["headers"][name], json!(["S", value]), "{name}");
    }
    dispatcher.end().await;
}
