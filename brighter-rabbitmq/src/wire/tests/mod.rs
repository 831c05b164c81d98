use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldArray, FieldTable, LongString};

use super::amqp::*;
use super::*;
use crate::headers::Headers;
use brighter_core::channel::{Rejection, RejectionKind};
use brighter_core::id::MessageId;
use brighter_core::message::{
    BagValue, DEFAULT_CONTENT_TYPE, EventAttributes, MAX_NAME_BYTES, Message, MessageBody, MessageHeader,
    MessageType, NameError, RoutingKey,
};
use brighter_core::trace::TraceContext;

mod fuzz;
mod lean;
mod nesting;
mod properties;
mod strangers;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn properties(message: &Message) -> Result<BasicProperties, NameError> {
    super::properties(message, Headers::Full)
}

fn a_message() -> Message {
    let mut header = MessageHeader::new(MessageId::new(), "Task.Reminder", MessageType::Command)
        .with_correlation_id("conversation".into())
        .with_reply_to("Answers")
        .with_event(
            EventAttributes::default()
                .with_type("task.reminder.v2")
                .with_source("urn:tasks")
                .with_subject("task-7")
                .with_data_schema("urn:schema"),
        )
        .with_trace(
            TraceContext::default()
                .with_traceparent(PARENT)
                .with_tracestate("vendor=1,other=2")
                .with_baggage("tenant=north"),
        );
    header.timestamp = UNIX_EPOCH + Duration::from_millis(1_790_000_000_123);
    header.handled_count = 3;
    header.bag.insert("tenant", "nørth");
    header.bag.insert("priority", -7);
    header.bag.insert("share", 0.5);
    header.bag.insert("urgent", true);
    Message::new(header, MessageBody::new("{\"a\":1}"))
}

fn original(properties: BasicProperties) -> Original {
    Original {
        routing_key: "routing.key".into(),
        properties,
        body: Bytes::from_static(b"body"),
    }
}

fn with_headers(headers: &[(&str, AMQPValue)]) -> Original {
    let mut table = FieldTable::default();
    for (name, value) in headers {
        table.insert((*name).into(), value.clone());
    }
    original(BasicProperties::default().with_headers(table))
}

fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

#[test]
fn a_message_comes_back_as_it_went() {
    let sent = a_message();
    let mut there = original(properties(&sent).unwrap());
    there.body = sent.body.to_bytes();
    assert_eq!(message(&there).unwrap(), sent);
}

/// As in AMQP and .NET: a property, and not a header.
#[test]
fn a_priority_is_the_property_of_that_name() {
    let mut sent = a_message();
    let without = properties(&sent).unwrap();
    sent.header.priority = Some(7);
    let written = properties(&sent).unwrap();
    assert_eq!(*written.priority(), Some(7));
    assert_eq!(written.headers(), without.headers());
    let mut there = original(written);
    there.body = sent.body.to_bytes();
    assert_eq!(message(&there).unwrap(), sent);
}

#[test]
fn headers_are_written_as_dotnet_reads_them() {
    let sent = a_message();
    let written = properties(&sent).unwrap();
    let id = sent.header.id.to_string();
    assert_eq!(written.message_id().as_ref().unwrap().as_str(), id);
    assert_eq!(
        written.content_type().as_ref().unwrap().as_str(),
        DEFAULT_CONTENT_TYPE
    );
    assert_eq!(written.kind().as_ref().unwrap().as_str(), DEFAULT_CONTENT_TYPE);
    assert_eq!(*written.delivery_mode(), Some(2));
    assert_eq!(*written.timestamp(), Some(1_790_000_000));
    assert_eq!(written.reply_to().as_ref().unwrap().as_str(), "Answers");
    assert!(written.correlation_id().is_none() && written.app_id().is_none());
    assert!(written.user_id().is_none() && written.expiration().is_none());
    assert!(written.priority().is_none() && written.content_encoding().is_none());
    for (name, value) in [
        ("MessageType", "MT_COMMAND"),
        ("Topic", "Task.Reminder"),
        ("CorrelationId", "conversation"),
        ("cloudEvents_id", id.as_str()),
        ("cloudEvents_specversion", "1.0"),
        ("cloudEvents_type", "task.reminder.v2"),
        ("cloudEvents_source", "urn:tasks"),
        ("cloudEvents_subject", "task-7"),
        ("cloudEvents_dataschema", "urn:schema"),
        ("cloudEvents_traceparent", PARENT),
        ("cloudevents_tracestate", "vendor=1,other=2"),
        ("cloudevents_:tracestate", "vendor=1,other=2"),
        // As the synchronous gateway of .NET spells them.
        ("cloudEvents:traceparent", PARENT),
        ("cloudevents:tracestate", "vendor=1,other=2"),
        ("baggage", "tenant=north"),
        ("cloudEvents_time", "2026-09-21T14:13:20.123Z"),
        ("tenant", "nørth"),
    ] {
        assert_eq!(header(&written, name), Some(&text(value)), "{name}");
    }
    assert_eq!(header(&written, "HandledCount"), Some(&AMQPValue::LongInt(3)));
    assert_eq!(header(&written, "priority"), Some(&AMQPValue::LongLongInt(-7)));
    assert_eq!(header(&written, "share"), Some(&AMQPValue::Double(0.5)));
    assert_eq!(header(&written, "urgent"), Some(&AMQPValue::Boolean(true)));
    assert!(
        written
            .headers()
            .as_ref()
            .unwrap()
            .inner()
            .values()
            .all(|value| { !matches!(value, AMQPValue::ShortString(_)) })
    );
}

#[test]
fn missing_values_have_the_words_of_dotnet() {
    let plain = MessageHeader::new(MessageId::new(), "Task.Reminder", MessageType::Document);
    let sent = Message::new(plain, MessageBody::default());
    let written = properties(&sent).unwrap();
    for (name, value) in [
        ("MessageType", "MT_DOCUMENT"),
        ("cloudEvents_type", "Task.Reminder"),
        ("cloudEvents_source", "http://goparamore.io/"),
    ] {
        assert_eq!(header(&written, name), Some(&text(value)), "{name}");
    }
    assert_eq!(header(&written, "HandledCount"), Some(&AMQPValue::LongInt(0)));
    assert_eq!(written.headers().as_ref().unwrap().inner().len(), 8);
    assert!(written.reply_to().is_none());
    let read = message(&original(written)).unwrap().header;
    assert_eq!(read.event, EventAttributes::default());
    assert!(read.trace.is_empty());
}

#[test]
fn the_bag_changes_neither_the_message_nor_where_it_goes() {
    let mut sent = a_message();
    for name in [
        "topic",
        "HANDLEDCOUNT",
        "cloudEvents:id",
        "messageType",
        "CC",
        "BCC",
        "x-death",
        "x-delivery-count",
        "x-delay",
        "X-Original-Message-Id",
        "cloudEvents_subject",
        "cloudEvents:traceparent",
        "cloudevents_:tracestate",
        "Baggage",
        "x-brighter-content-type",
        "Redelivered",
        "x-dotnet-pub-seq-no",
    ] {
        sent.header.bag.insert(name, "forged");
    }
    let written = properties(&sent).unwrap();
    let forged = text("forged");
    assert!(
        written
            .headers()
            .as_ref()
            .unwrap()
            .inner()
            .values()
            .all(|value| *value != forged)
    );
}

#[test]
fn odd_values_are_written_without_harm() {
    let mut sent = a_message();
    sent.header.timestamp = UNIX_EPOCH - Duration::from_secs(1);
    sent.header.handled_count = u32::MAX;
    sent.header.bag.insert("nan", f64::NAN);
    sent.header.bag.insert("", "");
    let written = properties(&sent).unwrap();
    assert!(written.timestamp().is_none());
    assert_eq!(
        header(&written, "HandledCount"),
        Some(&AMQPValue::LongInt(i32::MAX))
    );
    let read = message(&original(written)).unwrap();
    assert_eq!(read.header.timestamp, sent.header.timestamp);
    assert!(matches!(read.header.bag.get("nan"), Some(BagValue::Float(nan)) if nan.is_nan()));
    if let Some(far) = UNIX_EPOCH.checked_add(Duration::from_secs(1 << 60)) {
        sent.header.timestamp = far;
        assert!(header(&properties(&sent).unwrap(), "cloudEvents_time").is_none());
    }
}

#[test]
fn both_spellings_are_written_when_asked_for() {
    let sent = a_message();
    let names = |headers| {
        let written = super::properties(&sent, headers).unwrap();
        let table = written.headers().clone().unwrap();
        assert_eq!(message(&original(written)).unwrap().header, sent.header);
        table
    };
    let (usual, both) = (names(Headers::Full), names(Headers::BothSpellings));
    let mut added = Vec::new();
    for (name, value) in &both {
        if usual.inner().get(name.as_str()).is_none() {
            let twin = name.as_str().replace(':', "_");
            assert_eq!(usual.inner().get(twin.as_str()), Some(value), "{name}");
            added.push(name.as_str());
        }
    }
    let expected = [
        "dataschema",
        "id",
        "source",
        "specversion",
        "subject",
        "time",
        "type",
    ];
    assert_eq!(added, expected.map(|field| format!("cloudEvents:{field}")));
    // Where there is nothing to say, nothing is said twice.
    let plain = MessageHeader::new(MessageId::new(), "Task.Reminder", MessageType::Event);
    let plain = Message::new(plain, MessageBody::default());
    let written = super::properties(&plain, Headers::BothSpellings).unwrap();
    assert_eq!(written.headers().as_ref().unwrap().inner().len(), 8 + 5);
}

#[test]
fn a_content_type_that_dotnet_cannot_read_is_refused() {
    for wrong in [
        "nonsense",
        "text /plain",
        " a/b",
        "text/plain;charset=",
        "a/b;c=d;C=e",
        "a/b;c=\"ü\"",
    ] {
        let mut sent = a_message();
        sent.header.content_type = wrong.into();
        let refused = properties(&sent).unwrap_err();
        assert!(
            matches!(&refused, NameError::ContentType { content_type, .. } if content_type == wrong),
            "{wrong}"
        );
    }
}

#[test]
fn values_that_do_not_fit_are_refused_by_name() {
    let long = "é".repeat(128);
    let mut sent = a_message();
    sent.header.id = MessageId::from(long.as_str());
    assert!(matches!(
        properties(&sent),
        Err(NameError::TooLong {
            what: "message id",
            bytes: 256,
            ..
        })
    ));
    let mut sent = a_message();
    sent.header.bag.insert(long, 1);
    assert!(matches!(
        properties(&sent),
        Err(NameError::TooLong {
            what: "header name",
            ..
        })
    ));
}

#[test]
fn dotnet_of_every_version_is_read() {
    let id = "0197F2A0-7C3E-7D5A-9B7E-1F2A3B4C5D6E";
    let asynchronous = [
        ("MessageType", text("MT_EVENT")),
        ("Topic", text("greeting")),
        ("HandledCount", AMQPValue::LongInt(2)),
        ("cloudEvents_id", text(id)),
        ("cloudEvents_time", text("2026-09-21T14:13:20.123Z")),
        ("cloudEvents_type", text("")),
        ("DeliveryTag", text("1")),
    ];
    let synchronous = [
        ("MessageType", text("mt_event")),
        ("topic", text("greeting")),
        ("HandledCount", text(" 2 ")),
        ("cloudEvents:id", text(id)),
        ("cloudevents:time", text("2026-09-21T14:13:20.123Z")),
    ];
    for headers in [&asynchronous[..], &synchronous[..]] {
        let read = message(&with_headers(headers)).unwrap().header;
        assert_eq!(read.id.to_string(), id);
        assert_eq!(read.topic, "greeting");
        assert_eq!(read.message_type, MessageType::Event);
        assert_eq!(read.handled_count, 2);
        assert_eq!(
            read.timestamp,
            UNIX_EPOCH + Duration::from_millis(1_790_000_000_123)
        );
        assert!(read.bag.is_empty(), "{:?}", read.bag);
    }
    // Version 9 writes no CloudEvents, and a delay as a number.
    let ninth = [
        ("MessageType", text("MT_COMMAND")),
        ("Topic", text("greeting")),
        ("CorrelationId", text(id)),
        ("x-delay", AMQPValue::LongInt(5)),
    ];
    let read = message(&with_headers(&ninth)).unwrap().header;
    assert_eq!(read.correlation_id, Some(MessageId::from(id)));
    assert_eq!(read.delayed, Duration::from_millis(5));
    assert!(read.bag.is_empty(), "{:?}", read.bag);
}

#[test]
fn missing_headers_have_defaults() {
    let before = SystemTime::now();
    let read = message(&original(BasicProperties::default())).unwrap().header;
    assert_eq!(read.topic, "routing.key");
    assert_eq!(read.message_type, MessageType::Event);
    assert_eq!(read.content_type, DEFAULT_CONTENT_TYPE);
    assert_eq!(read.handled_count, 0);
    assert_eq!((&read.correlation_id, &read.reply_to), (&None, &None));
    assert_eq!(
        (read.event_type(), read.source()),
        ("routing.key", "http://goparamore.io/")
    );
    assert!(read.trace.is_empty() && read.delayed.is_zero());
    assert!(read.timestamp >= before);
    let far = message(&original(BasicProperties::default().with_timestamp(u64::MAX))).unwrap();
    assert!(far.header.timestamp >= before);
}

#[test]
fn every_number_counts_and_nonsense_is_none() {
    for (value, expected) in [
        (AMQPValue::ShortShortInt(5), 5),
        (AMQPValue::ShortShortUInt(5), 5),
        (AMQPValue::ShortInt(5), 5),
        (AMQPValue::ShortUInt(5), 5),
        (AMQPValue::LongInt(5), 5),
        (AMQPValue::LongUInt(5), 5),
        (AMQPValue::LongLongInt(5), 5),
        (AMQPValue::Float(5.5), 5),
        (AMQPValue::Double(5.5), 5),
        (AMQPValue::Double(f64::NAN), 0),
        (AMQPValue::Double(f64::INFINITY), u32::MAX),
        (AMQPValue::LongLongInt(i64::MAX), u32::MAX),
        (AMQPValue::LongLongInt(-1), 0),
        (text("5"), 5),
        (text("five"), 0),
        (AMQPValue::Void, 0),
        (AMQPValue::Boolean(true), 0),
    ] {
        let read = message(&with_headers(&[("handledCOUNT", value.clone())])).unwrap();
        assert_eq!(read.header.handled_count, expected, "{value:?}");
        if let 0..=5 = expected {
            let read = message(&with_headers(&[("x-delay", value.clone())])).unwrap();
            let expected = if value == AMQPValue::LongLongInt(-1) {
                1
            } else {
                expected
            };
            assert_eq!(read.header.delayed.as_millis(), u128::from(expected), "{value:?}");
        }
    }
}

#[test]
fn malformed_headers_have_a_reason() {
    let bytes = AMQPValue::LongString(LongString::from(vec![0xff, 0xfe]));
    for (name, value, reason) in [
        ("MessageType", text("MT_QUIT"), "unknown MessageType \"MT_QUIT\""),
        (
            "MessageType",
            text("\n\u{7}"),
            "unknown MessageType \"\\n\\u{7}\"",
        ),
        ("MessageType", AMQPValue::LongInt(1), "not a text"),
        ("MessageType", bytes.clone(), "not UTF-8"),
        ("Topic", bytes.clone(), "not UTF-8"),
        ("CorrelationId", bytes.clone(), "not UTF-8"),
        (
            "Topic",
            text("a\nb"),
            "`Topic` holds control characters: \"a\\nb\"",
        ),
        (
            "CorrelationId",
            text("a\u{7}"),
            "`CorrelationId` holds control characters",
        ),
        (
            "cloudEvents:subject",
            text("\u{1b}[31m"),
            "`cloudEvents_subject` holds control",
        ),
        (
            "x-original-message-id",
            text("a\r\nb"),
            "holds control characters",
        ),
        (
            "cloudEvents_id",
            text("x".repeat(256)),
            "the message id has 256 bytes",
        ),
    ] {
        let said = message(&with_headers(&[(name, value)])).unwrap_err();
        assert!(said.contains(reason), "{said}");
    }
}

#[test]
fn headers_outside_the_bag_stay_on_the_original() {
    let list = AMQPValue::FieldArray(FieldArray::from(vec![text("a")]));
    let there = with_headers(&[
        ("list", list.clone()),
        ("table", AMQPValue::FieldTable(FieldTable::default())),
    ]);
    assert!(message(&there).unwrap().header.bag.is_empty());
    let rejection = Rejection::new(RejectionKind::DeadLetter, "no");
    assert_eq!(
        header(
            &set_aside(&there, &rejection, SystemTime::now(), usize::MAX),
            "list"
        ),
        Some(&list)
    );
}

#[test]
fn a_retry_keeps_what_it_can_and_counts() {
    let mut there = with_headers(&[
        ("Topic", text("greeting")),
        ("HandledCount", AMQPValue::LongLongInt(1)),
        ("cloudEvents:type", text("greeting.v1")),
        ("list", AMQPValue::FieldArray(FieldArray::default())),
        (
            "CC",
            AMQPValue::FieldArray(FieldArray::from(vec![text("elsewhere")])),
        ),
        ("x-death", AMQPValue::FieldArray(FieldArray::default())),
        ("x-first-death-queue", text("here")),
    ]);
    there.properties = there
        .properties
        .with_reply_to("answers".into())
        .with_priority(4)
        .with_expiration("1000".into())
        .with_user_id("somebody".into())
        .with_delivery_mode(1);
    let mut again = message(&there).unwrap();
    again.header.handled_count += 1;
    let copy = for_retry(&there, &again).unwrap();
    assert_eq!(header(&copy, "HandledCount"), Some(&AMQPValue::LongInt(2)));
    assert_eq!(header(&copy, "cloudEvents_type"), Some(&text("greeting.v1")));
    assert!(header(&copy, "list").is_some());
    for gone in ["CC", "x-death", "x-first-death-queue"] {
        assert!(header(&copy, gone).is_none(), "{gone}");
    }
    assert_eq!(
        copy.message_id().as_ref().unwrap().as_str(),
        again.header.id.to_string()
    );
    assert_eq!(copy.reply_to().as_ref().unwrap().as_str(), "answers");
    assert_eq!((*copy.priority(), *copy.delivery_mode()), (Some(4), Some(2)));
    assert!(copy.expiration().is_none() && copy.user_id().is_none());
    let read = message(&original(copy)).unwrap().header;
    assert_eq!(
        (read.topic, read.handled_count),
        (RoutingKey::from("greeting"), 2)
    );
}

#[test]
fn rejected_messages_carry_their_reason() {
    let mut there = with_headers(&[
        ("MessageType", text("MT_QUIT")),
        ("HandledCount", AMQPValue::LongLongInt(4)),
        ("mine", text("kept")),
        ("RejectionMessage", text("of an earlier time")),
        ("OriginalType", text("of an earlier time")),
    ]);
    there.properties = there
        .properties
        .with_type("Order".into())
        .with_user_id("somebody".into());
    let rejection = Rejection::new(RejectionKind::Invalid, "unknown MessageType");
    let copy = set_aside(&there, &rejection, UNIX_EPOCH, usize::MAX);
    for (name, value) in [
        ("originalTopic", "routing.key"),
        ("originalMessageType", "MT_QUIT"),
        ("rejectionReason", "Unacceptable"),
        ("rejectionMessage", "unknown MessageType"),
        ("rejectionTimestamp", "1970-01-01T00:00:00.000Z"),
        ("MessageType", "MT_QUIT"),
        ("mine", "kept"),
    ] {
        assert_eq!(header(&copy, name), Some(&text(value)), "{name}");
    }
    assert_eq!(
        header(&copy, "rejectionAttempts"),
        Some(&AMQPValue::LongLongInt(5))
    );
    for gone in ["RejectionMessage", "OriginalType"] {
        assert!(header(&copy, gone).is_none(), "{gone}");
    }
    assert_eq!(copy.kind().as_ref().unwrap().as_str(), "Order");
    assert!(copy.user_id().is_none());
}
