//! What a running Brighter for .NET showed, point by point, by a client that is neither's: what it reads, and what it
//! writes.

use std::time::{Duration, UNIX_EPOCH};

use brighter::channel::{Broker, DeclareMode, Producer, PublishError, Rejection, RejectionKind};
use brighter::message::{EventAttributes, MessageBody, MessageHeader, MessageType, NameError};
use brighter::trace::TraceContext;
use brighter::transport::rabbitmq::Headers;
use brighter::{Message, MessageId};
use brighter_tests::rabbitmq::{Corner, Raw};
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Value, json};

use super::interop::{read, write};
use super::next;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Content types of every kind, right and wrong.
const CONTENT_TYPES: [&str; 44] = [
    "application/json",
    "application/json; charset=utf-8",
    "application/json;charset=utf-8",
    "APPLICATION/JSON",
    "text/plain",
    "text/plain ; charset=us-ascii",
    "text/plain; charset=\"utf-8\"",
    "text/plain; charset=\"u\\\"tf\"",
    "text/plain; a=\"\"",
    "text/plain;",
    "text/plain; ",
    "text/plain; a=b; c=d; e=f",
    "application/vnd.shop.order.v2+json",
    "application/cloudevents+json",
    "application/octet-stream",
    "application/x-protobuf; messageType=\"a.b.C\"",
    "multipart/mixed; boundary=a'b_c-d.e",
    "*/*",
    "nonsense",
    "json",
    "/",
    "a/",
    "/b",
    "a/b/c",
    "text /plain",
    "text/ plain",
    " text/plain",
    "text/plain x",
    "text/plain;charset=",
    "text/plain;charset",
    "text/plain;=utf-8",
    "text/plain;;a=b",
    "text/plain;a=b;;",
    "text/plain; a=b c",
    "text/plain; a =b",
    "text/plain; a=b; a=c",
    "text/plain; A=b; a=b",
    "text/plain; a=\"b",
    "text/plain; a=ü",
    "text/plain; a=\"ü\"",
    "tëxt/plain",
    "text/pl(a)in",
    "text/plain, text/html",
    "text/plain; a=b/c",
];

/// Whether `System.Net.Mime.ContentType` reads a text, told by its rules and not by our parser.
fn dotnet_reads(text: &str) -> bool {
    let text = text.as_bytes();
    let is_token = |byte: u8| (33..127).contains(&byte) && !b"()<>@,;:\\\"/[]?=".contains(&byte);
    let mut at = 0;
    let token = |at: &mut usize| {
        let begin = *at;
        while text.get(*at).is_some_and(|byte| is_token(*byte)) {
            *at += 1;
        }
        // What follows has to be ASCII too.
        (*at > begin && text.get(*at).is_none_or(u8::is_ascii)).then(|| text[begin..*at].to_ascii_lowercase())
    };
    let spaces = |at: &mut usize| {
        while matches!(text.get(*at), Some(b' ' | b'\t')) {
            *at += 1;
        }
        *at < text.len()
    };
    let quoted = |at: &mut usize| {
        *at += 1;
        loop {
            match text.get(*at)? {
                b'"' => {
                    *at += 1;
                    return Some(());
                }
                b'\\' => *at += 2,
                0 | b'\n' | b'\r' | 128.. => return None,
                _ => *at += 1,
            }
        }
    };
    let mut read = || {
        token(&mut at)?;
        if text.get(at) != Some(&b'/') {
            return None;
        }
        at += 1;
        token(&mut at)?;
        let mut names = Vec::new();
        while spaces(&mut at) {
            if text[at] != b';' {
                return None;
            }
            at += 1;
            if !spaces(&mut at) {
                break;
            }
            let name = token(&mut at)?;
            if text.get(at) != Some(&b'=') || names.contains(&name) {
                return None;
            }
            names.push(name);
            at += 1;
            if !spaces(&mut at) {
                return None;
            }
            if text[at] == b'"' {
                quoted(&mut at)?;
            } else {
                token(&mut at)?;
            }
        }
        Some(())
    };
    read().is_some()
}

fn message_of(content_type: &'static str) -> Message {
    let header = MessageHeader::new(MessageId::new(), "Order.Placed", MessageType::Event);
    Message::new(header.with_content_type(content_type), MessageBody::new("{}"))
}

#[tokio::test]
async fn forty_content_types_are_refused_or_read_by_dotnet() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("types", "Order.Placed");
    drop(broker.consume(&channel).await.unwrap());
    let raw = Raw::connect().await;
    let (mut refused, mut written) = (0, 0);
    for content_type in CONTENT_TYPES {
        match broker.publish(&message_of(content_type)).await {
            Err(PublishError::Name(NameError::ContentType { .. })) => {
                assert!(message_of(content_type).header.validate().is_err());
                refused += 1;
            }
            Err(other) => panic!("{content_type:?}: {other:?}"),
            Ok(()) => {
                let properties = raw.take(channel.name.as_str()).await.properties.clone();
                for property in [properties.content_type(), properties.kind()] {
                    let property = property.as_ref().unwrap().as_str();
                    assert_eq!(property, content_type);
                    assert!(dotnet_reads(property), "{property:?}");
                }
                written += 1;
            }
        }
    }
    // Neither side of the rule is empty, and what is in everyday use is not refused.
    assert_eq!((refused, written), (26, 18));
    for content_type in [
        "nonsense",
        "text /plain",
        "text/plain;charset=",
        "a/b;c=d;c=e",
        " a/b",
        "a/b;c=ü",
    ] {
        assert!(!dotnet_reads(content_type), "{content_type}");
    }
}

#[tokio::test]
async fn the_synchronous_gateway_always_finds_the_trace() {
    let corner = Corner::new();
    let channel = corner.channel("both", "Order.Placed");
    drop(corner.connect().await.consume(&channel).await.unwrap());
    let mut sent = message_of("application/json");
    sent.header = sent
        .header
        .with_event(
            EventAttributes::default()
                .with_type("placed")
                .with_subject("seven"),
        )
        .with_trace(
            TraceContext::default()
                .with_traceparent(PARENT)
                .with_tracestate("vendor=1")
                .with_baggage("tenant=north"),
        );
    for (headers, both) in [(Headers::Full, false), (Headers::BothSpellings, true)] {
        let broker = corner.builder().headers(headers).connect().await.unwrap();
        broker.publish(&sent).await.unwrap();
        let headers = read(channel.name.as_str()).await["headers"].clone();
        for (name, value) in [
            ("cloudEvents:traceparent", PARENT),
            ("cloudEvents_traceparent", PARENT),
            ("cloudevents:tracestate", "vendor=1"),
            ("cloudevents_tracestate", "vendor=1"),
            ("baggage", "tenant=north"),
        ] {
            assert_eq!(headers[name], json!(["S", value]), "{name}");
        }
        for field in ["id", "specversion", "type", "source", "time", "subject"] {
            let with_colon = &headers[format!("cloudEvents:{field}")];
            if both {
                assert_eq!(*with_colon, headers[format!("cloudEvents_{field}")], "{field}");
            } else {
                assert_eq!(*with_colon, Value::Null, "{field}");
            }
        }
    }
}

#[tokio::test]
async fn messages_and_retries_are_exchanged_with_dotnet() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("theirs", "greeting");
    let mut consumer = broker.consume(&channel).await.unwrap();
    // The property is the time of the clock on the wall, two hours ahead; bytes are no text; and two notes of its own.
    let properties = json!({
        "content_type": "nonsense", "type": "OrderPlaced", "message_id": "seven", "timestamp": 1_790_007_200,
    });
    let headers = json!({
        "MessageType": ["S", "MT_COMMAND"], "Topic": ["S", "greeting"], "HandledCount": ["I", 0],
        "cloudEvents:time": ["S", "2026-09-21T16:13:20.1230000+02:00"], "cloudEvents:type": ["S", "greeting.v1"],
        "hash": ["x", "c328ff"], "x-dotnet-pub-seq-no": ["l", 12], "Redelivered": ["t", true],
        "tenant": ["S", "north"],
    });
    write(channel.name.as_str(), properties, headers, "{}").await;
    for attempt in 0..2 {
        let delivery = next(&mut consumer).await;
        let header = delivery.message().unwrap().header.clone();
        assert_eq!(
            header.timestamp,
            UNIX_EPOCH + Duration::from_millis(1_790_000_000_123)
        );
        assert_eq!(header.event_type(), "greeting.v1");
        assert_eq!(
            header.content_type, "nonsense",
            "the mapper judges it, at attempt {attempt}"
        );
        assert_eq!(header.handled_count, attempt);
        assert_eq!(header.bag.len(), 1, "{:?}", header.bag);
        assert_eq!(
            header.bag.get("tenant").and_then(|value| value.as_str()),
            Some("north")
        );
        delivery.requeue(Duration::ZERO, true).await.unwrap();
    }
    // As it lies in the queue for the next consumer.
    drop(consumer);
    let raw = Raw::connect().await;
    let copy = raw.take(channel.name.as_str()).await;
    let types = [copy.properties.content_type(), copy.properties.kind()];
    assert!(
        types
            .iter()
            .all(|property| dotnet_reads(property.as_ref().unwrap().as_str()))
    );
    let headers = copy.properties.headers().as_ref().unwrap().inner();
    assert!(
        matches!(headers.get("hash"), Some(AMQPValue::LongString(hash)) if hash.as_bytes() == [0xc3, 0x28, 0xff])
    );
    assert!(!headers.contains_key("x-dotnet-pub-seq-no") && !headers.contains_key("Redelivered"));
    assert!(headers.contains_key("cloudEvents:type") && headers.contains_key("cloudEvents_type"));
}

/// As .NET declares them: a durable topic exchange, and a queue that names another place for its dead letters.
#[tokio::test]
async fn a_queue_of_dotnet_is_consumed_unchanged() {
    let corner = Corner::new();
    let (exchange, queue, dead_letters) = (
        corner.exchange(),
        corner.queue("theirs"),
        corner.queue("their.dlq"),
    );
    let raw = Raw::connect().await;
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..Default::default()
    };
    let kind = lapin::ExchangeKind::Topic;
    let table = FieldTable::default();
    raw.channel
        .exchange_declare(exchange.as_str().into(), kind, durable, table)
        .await
        .unwrap();
    let mut arguments = FieldTable::default();
    for (name, value) in [
        ("x-dead-letter-exchange", "their.dlx"),
        ("x-dead-letter-routing-key", &dead_letters),
    ] {
        arguments.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    for (queue, arguments) in [(&queue, arguments), (&dead_letters, FieldTable::default())] {
        let durable = QueueDeclareOptions {
            durable: true,
            ..Default::default()
        };
        raw.channel
            .queue_declare(queue.as_str().into(), durable, arguments)
            .await
            .unwrap();
    }
    raw.channel
        .queue_bind(
            queue.as_str().into(),
            exchange.as_str().into(),
            "greeting".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    for mode in [DeclareMode::Validate, DeclareMode::Assume] {
        let broker = corner.builder().declare_exchange(mode).connect().await.unwrap();
        let mut channel = corner.channel("theirs", "greeting");
        channel.declare = mode;
        // What is set aside goes where .NET puts it.
        channel.dead_letters = dead_letters.as_str().into();
        channel.invalid_messages = dead_letters.as_str().into();
        let mut consumer = broker.consume(&channel).await.unwrap();
        let header = MessageHeader::new(MessageId::new(), "greeting", MessageType::Event);
        broker
            .publish(&Message::new(header, MessageBody::new("{}")))
            .await
            .unwrap();
        next(&mut consumer).await.ack().await.unwrap();
        let header = MessageHeader::new(MessageId::new(), "greeting", MessageType::Event);
        broker
            .publish(&Message::new(header, MessageBody::new("no")))
            .await
            .unwrap();
        let rejection = Rejection::new(RejectionKind::Invalid, "it makes no sense");
        next(&mut consumer).await.reject(rejection).await.unwrap();
        assert_eq!(raw.take(&dead_letters).await.data, b"no");
    }
    // Made by both sides it is refused, and the error says what to do.
    let broker = corner.connect().await;
    let refused = broker.consume(&corner.channel("theirs", "greeting")).await;
    let error = brighter::error::ErrorReport::report(&refused.err().unwrap());
    assert!(error.contains("Validate") || error.contains("Assume"), "{error}");
}
