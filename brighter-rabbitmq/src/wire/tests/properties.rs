//! Properties for every message, and for every value of the protocol.

use std::collections::BTreeMap;

use cookie_factory::WriteContext;
use lapin::protocol::basic::{gen_properties, parse_properties};
use lapin::types::{ByteArray, DecimalValue, ShortString};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;
use brighter_core::__private::media_type;
use brighter_core::message::Bag;

/// The last millisecond of the year 9999.
const LAST: u64 = 253_402_300_799_999;

/// Returns the bytes of the properties on the wire.
pub(super) fn bytes(properties: &BasicProperties) -> Vec<u8> {
    let written = gen_properties(properties)(WriteContext::from(Vec::new())).unwrap();
    written.into_inner().0
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9._:/-]{1,40}",
        "\\PC{1,60}",
        "\\PC{1,400}".prop_filter("as long as can be", |text| text.len() > 200),
    ]
}

fn name() -> impl Strategy<Value = String> {
    words().prop_map(|mut text| {
        text.truncate(brighter_core::__private::cut(&text, MAX_NAME_BYTES).len());
        text
    })
}

fn bag_value() -> impl Strategy<Value = BagValue> {
    prop_oneof![
        any::<bool>().prop_map(BagValue::Bool),
        any::<i64>().prop_map(BagValue::Int),
        proptest::num::f64::ANY
            .prop_filter("NaN is equal to nothing", |number| !number.is_nan())
            .prop_map(BagValue::Float),
        any::<String>().prop_map(BagValue::Text),
    ]
}

fn bag() -> impl Strategy<Value = Bag> {
    let free = prop_oneof![name(), Just(String::new())].prop_filter("ours", |name| name::is_free(name));
    btree_map(free, bag_value(), 0..6).prop_map(|values| {
        let mut bag = Bag::default();
        for (name, value) in values {
            bag.insert(name, value);
        }
        bag
    })
}

fn media_type() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(DEFAULT_CONTENT_TYPE.to_owned()),
        "[a-z]{1,9}/[a-z0-9.-]{1,20}(\\+json)?( ?; ?a=[a-z0-9.]{1,9})?( ?;b=\"[ !#-\\[\\]-~]{0,20}\")?",
    ]
    .prop_filter("a type begins with a letter or a digit", |text| {
        media_type::is_valid(text)
    })
}

prop_compose! {
    fn event()(
        kind in option::of(words()),
        source in option::of(words()),
        subject in option::of(words()),
        schema in option::of(words()),
    ) -> EventAttributes {
        EventAttributes::default()
            .with_type(kind.unwrap_or_default())
            .with_source(source.unwrap_or_default())
            .with_subject(subject.unwrap_or_default())
            .with_data_schema(schema.unwrap_or_default())
    }
}

fn trace() -> impl Strategy<Value = TraceContext> {
    (
        any::<bool>(),
        "[a-z]{1,9}=[!-+.-~]{1,20}(,[a-z]{1,9}=[0-9]{1,9}){0,3}",
    )
        .prop_map(|(traced, list)| {
            let trace = TraceContext::default().with_baggage(&list);
            if traced {
                trace.with_traceparent(PARENT).with_tracestate(&list)
            } else {
                trace
            }
        })
}

prop_compose! {
    fn a_message_of_any_kind()(
        (id, topic, content_type) in (name(), name(), media_type()),
        kind in prop_oneof![Just(MessageType::Command), Just(MessageType::Event), Just(MessageType::Document)],
        milliseconds in 0..=LAST,
        (correlation, reply_to, priority) in (option::of(words()), option::of(name()), option::of(any::<u8>())),
        (event, trace, bag) in (event(), trace(), bag()),
        handled in 0..=i32::MAX.unsigned_abs(),
        body in vec(any::<u8>(), 0..40),
    ) -> Message {
        let mut header = MessageHeader::new(id.as_str().into(), topic, kind)
            .with_content_type(content_type)
            .with_event(event)
            .with_trace(trace);
        header.timestamp = UNIX_EPOCH + Duration::from_millis(milliseconds);
        header.correlation_id = correlation.map(MessageId::from);
        header.reply_to = reply_to.map(RoutingKey::from);
        header.priority = priority;
        header.handled_count = handled;
        header.bag = bag;
        Message::new(header, MessageBody::new(body))
    }
}

/// Generates the name of a known header, or any other.
fn header_name() -> impl Strategy<Value = String> {
    let known = proptest::sample::select(vec![
        "MessageType",
        "topic",
        "HandledCount",
        "CorrelationId",
        "cloudEvents_id",
        "cloudEvents:id",
        "CLOUDEVENTS_TYPE",
        "cloudEvents:source",
        "cloudEvents_time",
        "cloudEvents_subject",
        "cloudEvents_dataschema",
        "cloudEvents_traceparent",
        "cloudevents_tracestate",
        "cloudevents_:tracestate",
        "baggage",
        "traceparent",
        "tracestate",
        "x-delay",
        "x-original-message-id",
        "DeliveryTag",
        "x-brighter-redeliveries",
        "CC",
        "BCC",
        "x-death",
        "x-first-death-queue",
        "x-delivery-count",
        "rejectionReason",
        "RejectionMessage",
        "OriginalType",
    ]);
    prop_oneof![3 => known.prop_map(str::to_owned), 1 => name(), 1 => ".{0,20}"]
}

fn text_value() -> impl Strategy<Value = AMQPValue> {
    let texts = proptest::sample::select(vec![
        "",
        "MT_COMMAND",
        "mt_event",
        "MT_QUIT",
        "5",
        "-1",
        " 7 ",
        PARENT,
        "vendor=1",
        "=",
        "a=b=c",
        "2026-09-21T14:13:20.123Z",
        "-271821-04-20T00:00:00Z",
        "9999-12-31T23:59:60Z",
        "a\nb",
    ]);
    prop_oneof![
        texts.prop_map(text),
        any::<String>().prop_map(text),
        vec(any::<u8>(), 0..30).prop_map(|bytes| AMQPValue::LongString(LongString::from(bytes))),
    ]
}

/// Generates every kind of value of the protocol.
fn value() -> impl Strategy<Value = AMQPValue> {
    nested(3)
}

/// Generates such values, nested up to this depth.
pub(super) fn nested(depth: u32) -> impl Strategy<Value = AMQPValue> {
    let leaf = prop_oneof![
        4 => text_value(),
        1 => any::<bool>().prop_map(AMQPValue::Boolean),
        1 => any::<i8>().prop_map(AMQPValue::ShortShortInt),
        1 => any::<u8>().prop_map(AMQPValue::ShortShortUInt),
        1 => any::<i16>().prop_map(AMQPValue::ShortInt),
        1 => any::<u16>().prop_map(AMQPValue::ShortUInt),
        1 => any::<i32>().prop_map(AMQPValue::LongInt),
        1 => any::<u32>().prop_map(AMQPValue::LongUInt),
        1 => any::<i64>().prop_map(AMQPValue::LongLongInt),
        1 => proptest::num::f32::ANY.prop_map(AMQPValue::Float),
        1 => proptest::num::f64::ANY.prop_map(AMQPValue::Double),
        1 => (any::<u8>(), any::<u32>())
            .prop_map(|(scale, value)| AMQPValue::DecimalValue(DecimalValue { scale, value })),
        1 => any::<u64>().prop_map(AMQPValue::Timestamp),
        1 => vec(any::<u8>(), 0..20).prop_map(|bytes| AMQPValue::ByteArray(ByteArray::from(bytes))),
        1 => Just(AMQPValue::Void),
    ];
    leaf.prop_recursive(depth, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|list| AMQPValue::FieldArray(list.into())),
            btree_map(name(), inner, 0..4).prop_map(|entries| AMQPValue::FieldTable(table(entries))),
        ]
    })
}

pub(super) fn table(entries: BTreeMap<String, AMQPValue>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert(name.as_str().into(), value);
    }
    table
}

fn short_text() -> impl Strategy<Value = ShortString> {
    prop_oneof![
        name(),
        Just(String::new()),
        Just("a\r\nb".to_owned()),
        Just("text/plain".to_owned())
    ]
    .prop_map(|text| ShortString::from(text.as_str()))
}

prop_compose! {
    fn anything()(
        headers in option::of(btree_map(header_name(), value(), 0..12).prop_map(table)),
        texts in proptest::array::uniform10(option::of(short_text())),
        (mode, priority) in (option::of(any::<u8>()), option::of(any::<u8>())),
        timestamp in option::of(prop_oneof![any::<u64>(), 0..2_000_000_000_u64]),
        routing_key in short_text(),
    ) -> Original {
        type Setter = fn(BasicProperties, ShortString) -> BasicProperties;
        let setters: [Setter; 10] = [
            BasicProperties::with_content_type, BasicProperties::with_content_encoding,
            BasicProperties::with_correlation_id, BasicProperties::with_reply_to,
            BasicProperties::with_expiration, BasicProperties::with_message_id,
            BasicProperties::with_type, BasicProperties::with_user_id,
            BasicProperties::with_app_id, BasicProperties::with_cluster_id,
        ];
        let mut properties = BasicProperties::default();
        for (text, set) in texts.into_iter().zip(setters) {
            if let Some(text) = text {
                properties = set(properties, text);
            }
        }
        if let Some(headers) = headers {
            properties = properties.with_headers(headers);
        }
        if let Some(mode) = mode {
            properties = properties.with_delivery_mode(mode);
        }
        if let Some(priority) = priority {
            properties = properties.with_priority(priority);
        }
        if let Some(timestamp) = timestamp {
            properties = properties.with_timestamp(timestamp);
        }
        Original { routing_key, properties, body: Bytes::from_static(b"body") }
    }
}

/// Returns the message that a copy may contain: with one more handling, and the time in milliseconds.
fn as_copied(mut message: Message) -> Message {
    let header = &mut message.header;
    header.handled_count = header
        .handled_count
        .saturating_add(1)
        .min(i32::MAX.unsigned_abs());
    header.timestamp = match header.timestamp.duration_since(UNIX_EPOCH) {
        Ok(since) => UNIX_EPOCH + Duration::from_millis(u64::try_from(since.as_millis()).unwrap()),
        Err(before) => {
            let back = before.duration().as_nanos().div_ceil(1_000_000);
            UNIX_EPOCH - Duration::from_millis(u64::try_from(back).unwrap())
        }
    };
    message
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_message_that_is_accepted_comes_back_as_it_went(sent in a_message_of_any_kind()) {
        let written = properties(&sent).unwrap();
        // Tested through the bytes, and not only through the types.
        let on_the_wire = bytes(&written);
        let (rest, arrived) = parse_properties(&on_the_wire[..]).unwrap();
        prop_assert!(rest.is_empty());
        prop_assert_eq!(&arrived, &written);
        prop_assert_eq!(header_bytes(&written), 12 + on_the_wire.len());
        let mut there = original(arrived);
        there.body = sent.body.to_bytes();
        prop_assert_eq!(message(&there).unwrap(), sent);
    }

    #[test]
    fn lean_messages_are_read_as_full_ones_in_whole_seconds(sent in a_message_of_any_kind()) {
        let lean = super::super::properties(&sent, Headers::Lean).unwrap();
        let full = properties(&sent).unwrap();
        prop_assert!(header_bytes(&lean) <= header_bytes(&full));
        let on_the_wire = bytes(&lean);
        let (rest, arrived) = parse_properties(&on_the_wire[..]).unwrap();
        prop_assert!(rest.is_empty());
        let there = |properties| Original {
            routing_key: sent.header.topic.as_str().into(),
            ..original(properties)
        };
        let read = message(&there(arrived)).unwrap();
        let mut expected = message(&there(full)).unwrap();
        let seconds = expected.header.timestamp.duration_since(UNIX_EPOCH).unwrap().as_secs();
        expected.header.timestamp = UNIX_EPOCH + Duration::from_secs(seconds);
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn any_properties_are_read_or_refused_and_copied_alike(there in anything()) {
        prop_assert_eq!(header_bytes(&there.properties), 12 + bytes(&there.properties).len());
        let rejection = Rejection::new(RejectionKind::Invalid, "no");
        let limit = 3500;
        let aside = set_aside(&there, &rejection, UNIX_EPOCH, limit);
        prop_assert!(header_bytes(&aside) <= limit);
        prop_assert_eq!(header(&aside, "rejectionReason"), Some(&text("Unacceptable")));
        match message(&there) {
            Err(reason) => prop_assert!(!reason.is_empty() && !reason.chars().any(char::is_control)),
            Ok(mut read) => {
                read.header.handled_count = read.header.handled_count.saturating_add(1);
                let mut copy = original(for_retry(&there, &read).unwrap());
                copy.routing_key = "the.queue".into();
                read.header.handled_count = read.header.handled_count.saturating_sub(1);
                // Compared as text, because a number in the bag may be NaN, which is not equal to itself.
                let (again, once) = (message(&copy).unwrap(), as_copied(read));
                prop_assert_eq!(format!("{again:?}"), format!("{once:?}"));
            }
        }
    }
}
