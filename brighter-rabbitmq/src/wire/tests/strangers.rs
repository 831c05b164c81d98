//! Messages of foreign senders: another Brighter, another system, or an attacker.

use super::*;
use brighter_core::__private::media_type;

#[test]
fn a_message_resent_by_dotnet_keeps_its_first_id() {
    let first = "0197f2a0-7c3e-7d5a-9b7e-1f2a3b4c5d6e";
    let mut there = with_headers(&[
        ("x-original-message-id", text(first)),
        ("cloudEvents_id", text("of the second time")),
        ("DeliveryTag", text("1")),
        ("HandledCount", AMQPValue::LongInt(1)),
    ]);
    there.properties = there.properties.with_message_id("of the second time".into());
    let read = message(&there).unwrap();
    assert_eq!(read.header.id, MessageId::from(first));
    assert!(read.header.bag.is_empty());
    // The copy for the retry has it too.
    let copy = for_retry(&there, &read).unwrap();
    assert_eq!(copy.message_id().as_ref().unwrap().as_str(), first);
    assert_eq!(header(&copy, "x-original-message-id"), Some(&text(first)));
    assert!(header(&copy, "DeliveryTag").is_none());
    assert_eq!(message(&original(copy)).unwrap().header.id, read.header.id);
    // An invalid id does not hide the valid one.
    let mut there = with_headers(&[("x-original-message-id", text(""))]);
    there.properties = there.properties.with_message_id("right".into());
    assert_eq!(message(&there).unwrap().header.id, "right".into());
}

#[test]
fn attributes_and_trace_are_read_in_both_spellings() {
    for separator in ["_", ":"] {
        let name = |attribute: &str| format!("cloudEvents{separator}{attribute}");
        let (kind, source, subject) = (name("type"), name("source"), name("subject"));
        let (schema, parent, state) = (name("dataschema"), name("traceparent"), name("tracestate"));
        let there = with_headers(&[
            (&kind, text("order.placed")),
            (&source, text("urn:shop")),
            (&subject, text("order-7")),
            (&schema, text("urn:schema")),
            (&parent, text(PARENT)),
            (&state.to_lowercase(), text("vendor=1")),
            ("BAGGAGE", text("tenant=north")),
        ]);
        let read = message(&there).unwrap().header;
        assert_eq!((read.event_type(), read.source()), ("order.placed", "urn:shop"));
        assert_eq!(read.event.subject.as_deref(), Some("order-7"));
        assert_eq!(read.event.data_schema.as_deref(), Some("urn:schema"));
        assert_eq!(read.trace.traceparent(), Some(PARENT));
        assert_eq!(read.trace.tracestate(), Some("vendor=1"));
        assert_eq!(read.trace.baggage(), Some("tenant=north"));
        assert!(read.bag.is_empty(), "{:?}", read.bag);
        // A copy has brighter's spelling.
        let copy = for_retry(&there, &Message::new(read, MessageBody::default())).unwrap();
        assert_eq!(header(&copy, "cloudEvents_subject"), Some(&text("order-7")));
        assert_eq!(header(&copy, "cloudevents_:tracestate"), Some(&text("vendor=1")));
        let in_both = header(&copy, "cloudEvents:subject").is_some();
        assert_eq!(in_both, separator == ":", "a spelling that came stays");
    }
    // Only the misspelling, and the default source without its slash.
    let there = with_headers(&[
        ("cloudEvents_traceparent", text(PARENT)),
        ("cloudevents_:tracestate", text("vendor=1")),
        ("cloudEvents_source", text("http://goparamore.io")),
    ]);
    let read = message(&there).unwrap().header;
    assert_eq!(read.trace.tracestate(), Some("vendor=1"));
    assert_eq!(read.event.source, None);
}

#[test]
fn the_trace_of_another_system_is_read_and_nonsense_dropped() {
    let bare = with_headers(&[
        ("traceparent", text(PARENT)),
        ("tracestate", text("vendor=1")),
        ("cloudEvents_traceparent", text("nonsense")),
    ]);
    let read = message(&bare).unwrap().header;
    assert_eq!(read.trace.traceparent(), Some(PARENT));
    assert_eq!(read.trace.tracestate(), Some("vendor=1"));
    // The application reads the header too.
    assert_eq!(read.bag.get("traceparent"), Some(&BagValue::from(PARENT)));
    for nonsense in [
        text("\r\n"),
        text("00-forged"),
        AMQPValue::LongInt(1),
        AMQPValue::LongString(LongString::from(vec![0xff])),
    ] {
        for name in ["cloudEvents_traceparent", "cloudevents_tracestate", "baggage"] {
            let read = message(&with_headers(&[(name, nonsense.clone())])).unwrap();
            assert!(read.header.trace.is_empty(), "{name} {nonsense:?}");
        }
    }
}

#[test]
fn a_correlation_id_that_is_no_text_harms_nobody() {
    for (value, expected) in [
        (AMQPValue::LongInt(17), Some("17")),
        (AMQPValue::LongLongInt(-1), Some("-1")),
        (AMQPValue::Boolean(true), None),
        (AMQPValue::Void, None),
        (AMQPValue::FieldTable(FieldTable::default()), None),
        (text("not a uuid"), Some("not a uuid")),
        (text(""), None),
    ] {
        let read = message(&with_headers(&[("CorrelationId", value.clone())])).unwrap();
        assert_eq!(
            read.header.correlation_id,
            expected.map(MessageId::from),
            "{value:?}"
        );
    }
    let properties = BasicProperties::default().with_correlation_id("of the property".into());
    let read = message(&original(properties)).unwrap();
    assert_eq!(read.header.correlation_id, Some("of the property".into()));
}

#[test]
fn a_media_type_is_taken_from_where_there_is_one() {
    for (content_type, kind, expected) in [
        (Some("text/plain"), Some("application/json"), "text/plain"),
        (
            None,
            Some("text/plain; charset=utf-8"),
            "text/plain; charset=utf-8",
        ),
        (None, Some("OrderPlaced"), DEFAULT_CONTENT_TYPE),
        (None, Some("a b/c"), DEFAULT_CONTENT_TYPE),
        (Some(""), None, DEFAULT_CONTENT_TYPE),
        // The mapper decides whether it can read this type.
        (Some("nonsense"), Some("OrderPlaced"), "nonsense"),
    ] {
        let mut properties = BasicProperties::default();
        if let Some(content_type) = content_type {
            properties = properties.with_content_type(content_type.into());
        }
        if let Some(kind) = kind {
            properties = properties.with_type(kind.into());
        }
        let there = original(properties);
        let read = message(&there).unwrap();
        assert_eq!(read.header.content_type, expected);
        // A copy has two types that .NET can read, and says the same to us, however often it is copied.
        let (mut copied, mut again) = (there.clone(), read.clone());
        for _ in 0..3 {
            again.header.handled_count += 1;
            let retried = for_retry(&copied, &again).unwrap();
            let waiting = waiting_on(&original(retried.clone()));
            copied = original(counted(&original(waiting), 1));
            for types in [&retried, &copied.properties] {
                assert!(media_type::is_valid(
                    types.content_type().as_ref().unwrap().as_str()
                ));
                assert!(media_type::is_valid(types.kind().as_ref().unwrap().as_str()));
            }
            again = message(&copied).unwrap();
            assert_eq!(again.header.content_type, expected);
        }
        // And a dead letter is what came.
        let rejection = Rejection::new(RejectionKind::DeadLetter, "no");
        let aside = set_aside(&copied, &rejection, SystemTime::now(), usize::MAX);
        let words = |text: &Option<lapin::types::ShortString>| text.as_ref().map(ToString::to_string);
        let came = content_type.filter(|text| !text.is_empty()).unwrap_or(expected);
        assert_eq!(words(aside.content_type()).as_deref(), Some(came));
        assert_eq!(words(aside.kind()), Some(kind.unwrap_or(expected).to_owned()));
        assert!(
            header(&aside, "x-brighter-content-type").is_none()
                && header(&aside, "x-brighter-type").is_none()
        );
    }
}

#[test]
fn foreign_byte_headers_skip_the_bag_but_stay_in_copies() {
    let bytes = AMQPValue::LongString(LongString::from(vec![0xc3, 0x28, 0xff]));
    let there = with_headers(&[("hash", bytes.clone()), ("tenant", text("north"))]);
    let read = message(&there).unwrap();
    assert_eq!((read.header.bag.len(), read.header.bag.get("hash")), (1, None));
    let rejection = Rejection::new(RejectionKind::DeadLetter, "no");
    for copy in [
        for_retry(&there, &read).unwrap(),
        for_another(&there, &read).unwrap(),
        waiting_on(&there),
        counted(&there, 1),
        set_aside(&there, &rejection, UNIX_EPOCH, usize::MAX),
    ] {
        assert_eq!(header(&copy, "hash"), Some(&bytes));
    }
}

#[test]
fn private_headers_of_dotnet_are_dropped() {
    let there = with_headers(&[
        ("x-dotnet-pub-seq-no", AMQPValue::LongLongInt(7)),
        ("Redelivered", AMQPValue::Boolean(true)),
        ("redelivered", text("of an application")),
    ]);
    let read = message(&there).unwrap();
    assert_eq!(read.header.bag.len(), 1, "{:?}", read.header.bag);
    for copy in [
        for_retry(&there, &read).unwrap(),
        for_another(&there, &read).unwrap(),
        waiting_on(&there),
        counted(&there, 1),
    ] {
        assert!(header(&copy, "x-dotnet-pub-seq-no").is_none() && header(&copy, "Redelivered").is_none());
        assert_eq!(header(&copy, "redelivered"), Some(&text("of an application")));
    }
}

#[test]
fn a_time_with_an_offset_is_what_the_header_says() {
    let read = |time: &str, seconds| {
        let mut there = with_headers(&[("cloudEvents_time", text(time))]);
        there.properties = there.properties.with_timestamp(seconds);
        message(&there).unwrap().header.timestamp
    };
    let noon = UNIX_EPOCH + Duration::from_millis(1_790_000_000_123);
    // .NET wrote the hour of the clock on the wall into the property.
    assert_eq!(read("2026-09-21T16:13:20.1230000+02:00", 1_790_007_200), noon);
    assert_eq!(read("2026-09-21T14:13:20.123Z", 1_790_000_000), noon);
    assert_eq!(
        read("yesterday", 1_790_000_000),
        UNIX_EPOCH + Duration::from_secs(1_790_000_000)
    );
}

#[test]
fn a_copy_keeps_the_spelling_of_the_synchronous_gateway() {
    let there = with_headers(&[
        ("cloudEvents:id", text("seven")),
        ("cloudEvents:subject", text("order-7")),
        ("cloudEvents:traceparent", text(PARENT)),
        ("cloudevents:tracestate", text("vendor=1")),
    ]);
    let read = message(&there).unwrap();
    let copy = for_retry(&there, &read).unwrap();
    for (name, value) in [
        ("cloudEvents:id", "seven"),
        ("cloudEvents_id", "seven"),
        ("cloudEvents:subject", "order-7"),
        ("cloudEvents_subject", "order-7"),
        ("cloudEvents:traceparent", PARENT),
        ("cloudEvents_traceparent", PARENT),
        ("cloudevents:tracestate", "vendor=1"),
        ("cloudevents_tracestate", "vendor=1"),
        ("cloudevents_:tracestate", "vendor=1"),
    ] {
        assert_eq!(header(&copy, name), Some(&text(value)), "{name}");
    }
    assert!(header(&copy, "cloudEvents:type").is_none(), "it did not come");
}

#[test]
fn reply_addresses_are_read_or_refused_with_a_reason() {
    let there = original(BasicProperties::default().with_reply_to("Answers".into()));
    let read = message(&there).unwrap();
    assert_eq!(read.header.reply_to, Some("Answers".into()));
    assert_eq!(
        for_retry(&there, &read).unwrap().reply_to(),
        there.properties.reply_to()
    );
    let forged = original(BasicProperties::default().with_reply_to("a\r\nb".into()));
    assert!(message(&forged).unwrap_err().contains("`reply_to` holds control"));
}

#[test]
fn a_topic_that_an_exchange_does_not_need_stays_empty() {
    let mut there = original(BasicProperties::default());
    there.routing_key = "".into();
    let read = message(&there).unwrap();
    assert_eq!(read.header.topic, "");
    // The copy is published under the name of its queue, which is not its topic.
    let again = original(for_retry(&there, &read).unwrap());
    assert_eq!(message(&again).unwrap().header.topic, "");
}

#[test]
fn full_headers_drop_the_largest_for_the_reason() {
    let there = with_headers(&[
        ("MessageType", text("MT_QUIT")),
        ("large", text("x".repeat(50_000))),
        ("larger", text("x".repeat(70_000))),
        ("small", text("kept")),
    ]);
    let rejection = Rejection::new(RejectionKind::Invalid, "x".repeat(5000));
    let whole = set_aside(&there, &rejection, UNIX_EPOCH, usize::MAX);
    assert!(header(&whole, "larger").is_some());
    let limit = 100_000;
    assert!(header_bytes(&whole) > limit);
    let copy = set_aside(&there, &rejection, UNIX_EPOCH, limit);
    assert!(header_bytes(&copy) <= limit);
    for kept in ["MessageType", "large", "small"] {
        assert_eq!(header(&copy, kept), header(&whole, kept), "{kept}");
    }
    assert!(header(&copy, "larger").is_none());
    let AMQPValue::LongString(said) = header(&copy, "rejectionMessage").unwrap() else {
        panic!("a text")
    };
    assert!(
        said.to_string()
            .ends_with("left out for want of room: [\"larger\"]")
    );
}

#[test]
fn a_counted_copy_is_the_same_message_with_its_count() {
    let mut there = with_headers(&[
        ("MessageType", text("MT_COMMAND")),
        ("HandledCount", AMQPValue::LongInt(2)),
        ("x-delivery-count", AMQPValue::LongLongInt(7)),
        ("x-death", text("moved")),
        ("CC", text("elsewhere")),
        ("X-Brighter-Redeliveries", AMQPValue::LongInt(3)),
        ("tenant", text("north")),
    ]);
    there.properties = there.properties.with_message_id("one".into());
    let copy = counted(&there, 9);
    for gone in ["x-delivery-count", "x-death", "CC", "X-Brighter-Redeliveries"] {
        assert!(header(&copy, gone).is_none(), "{gone}");
    }
    let copy = Original {
        routing_key: "the.queue".into(),
        ..original(copy)
    };
    assert_eq!(redeliveries(&copy), 9);
    let (before, after) = (message(&there).unwrap(), message(&copy).unwrap());
    assert_eq!(
        after.header.topic, before.header.topic,
        "not the name of the queue"
    );
    assert_eq!(
        (&after.header.id, after.header.handled_count),
        (&before.header.id, 2)
    );
    assert_eq!(after.header.bag, before.header.bag);
    // A further copy starts a new count, and so does a rejected one.
    let retry = for_retry(&copy, &after).unwrap();
    let rejection = Rejection::new(RejectionKind::DeadLetter, "no");
    let aside = set_aside(&copy, &rejection, SystemTime::now(), usize::MAX);
    for other in [retry, aside] {
        assert_eq!(redeliveries(&original(other)), 0);
    }
}
