//! [`CloudEventsMapper`]: a request in the envelope of CloudEvents.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{MapError, MessageMapper, json};
use crate::message::{BagValue, Message, MessageHeader, rfc3339};

/// The media type of an envelope.
const CONTENT_TYPE: &str = "application/cloudevents+json";
/// The names that an extension cannot have.
const ATTRIBUTES: [&str; 12] = [
    "id",
    "specversion",
    "source",
    "type",
    "datacontenttype",
    "dataschema",
    "subject",
    "time",
    "traceparent",
    "tracestate",
    "data",
    "data_base64",
];

/// Writes a request as JSON in the envelope of [CloudEvents], the "structured mode", and reads it back. The body then
/// carries all attributes of the message, so that no gateway can drop them.
///
/// Without this mapper a message is a CloudEvent too, in "binary mode": its attributes are headers. That is the
/// default, and a message without an envelope is read in this mode.
///
/// The header that a handler sees has the id, type, source, subject, schema, time and trace of the envelope. Extensions
/// are in the bag. A bag entry is written as an extension if its name has only lower-case letters and digits.
///
/// ```
/// use brighter::mapper::CloudEventsMapper;
/// use brighter::prelude::*;
///
/// #[derive(Serialize, Deserialize, Message)]
/// #[message(topic = "Order.Placed", type = "com.example.order.placed", kind = "event", mapper = CloudEventsMapper)]
/// struct OrderPlaced { id: MessageId, amount: u32 }
/// ```
///
/// [CloudEvents]: https://cloudevents.io
#[derive(Debug, Clone, Copy, Default)]
pub struct CloudEventsMapper;

#[derive(Serialize)]
struct Written<'a, R> {
    id: String,
    specversion: &'static str,
    source: &'a str,
    #[serde(rename = "type")]
    event_type: &'a str,
    datacontenttype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataschema: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracestate: Option<&'a str>,
    data: &'a R,
    #[serde(flatten)]
    extensions: BTreeMap<&'a str, &'a BagValue>,
}

/// .NET writes `null` for an absent attribute.
#[derive(Deserialize)]
struct Envelope<D> {
    specversion: String,
    id: Option<String>,
    source: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    dataschema: Option<String>,
    subject: Option<String>,
    time: Option<String>,
    traceparent: Option<String>,
    tracestate: Option<String>,
    data: Option<D>,
    data_base64: Option<String>,
    /// Implied by the body, and ignored.
    #[serde(rename = "datacontenttype")]
    _data_content_type: Option<IgnoredAny>,
    #[serde(flatten)]
    extensions: BTreeMap<String, Value>,
}

impl<R: Serialize + DeserializeOwned> MessageMapper<R> for CloudEventsMapper {
    fn to_message(&self, request: &R, header: MessageHeader) -> Result<Message, MapError> {
        let extensions = header
            .bag
            .iter()
            .filter(|(name, value)| is_extension(name, value));
        let written = Written {
            id: header.id.to_string(),
            specversion: "1.0",
            source: header.source(),
            event_type: header.event_type(),
            datacontenttype: "application/json",
            dataschema: header.event.data_schema.as_deref(),
            subject: header.event.subject.as_deref(),
            time: rfc3339::write(header.timestamp),
            traceparent: header.trace.traceparent(),
            tracestate: header.trace.tracestate(),
            data: request,
            extensions: extensions.collect(),
        };
        let body = json::write_body(&written)?;
        Ok(Message::new(header.with_content_type(CONTENT_TYPE), body))
    }

    fn to_request(&self, message: &Message) -> Result<R, MapError> {
        let body = message.body.as_bytes();
        if !is_envelope(message)? {
            return json::read(body);
        }
        let envelope: Envelope<R> = envelope(body)?;
        match (envelope.data, envelope.data_base64) {
            (Some(request), _) => Ok(request),
            (None, Some(text)) => {
                let bytes = STANDARD.decode(text).map_err(MapError::new)?;
                json::read(&bytes)
            }
            // An envelope without data may carry a unit request.
            (None, None) => serde_json::from_value(Value::Null).map_err(MapError::new),
        }
    }

    fn header_of(&self, message: &Message) -> Result<Option<MessageHeader>, MapError> {
        if !is_envelope(message)? {
            return Ok(None);
        }
        let envelope: Envelope<IgnoredAny> = envelope(message.body.as_bytes())?;
        let mut header = message.header.clone();
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(id) = said(envelope.id) {
            header.id = id.into();
        }
        if let Some(time) = envelope.time.as_deref().and_then(rfc3339::read) {
            header.timestamp = time;
        }
        let event = &mut header.event;
        for (slot, text) in [
            (&mut event.event_type, envelope.event_type),
            (&mut event.source, envelope.source),
            (&mut event.subject, envelope.subject),
            (&mut event.data_schema, envelope.dataschema),
        ] {
            if let Some(text) = said(text) {
                *slot = Some(text.into());
            }
        }
        if header.trace.traceparent().is_none() {
            header.trace = header
                .trace
                .with_traceparent(&envelope.traceparent.unwrap_or_default())
                .with_tracestate(&envelope.tracestate.unwrap_or_default());
        }
        for (name, value) in envelope.extensions {
            // A header of the broker takes precedence over the body.
            if let (None, Some(value)) = (header.bag.get(&name), bag_value(value)) {
                header.bag.insert(name, value);
            }
        }
        header.validate().map_err(MapError::new)?;
        Ok(Some(header))
    }
}

fn envelope<'a, D: Deserialize<'a>>(body: &'a [u8]) -> Result<Envelope<D>, MapError> {
    let envelope: Envelope<D> = json::read(body)?;
    if envelope.specversion != "1.0" {
        let begins: String = envelope.specversion.chars().take(24).collect();
        return Err(MapError::new(format!(
            "CloudEvents {begins:?} cannot be read, 1.0 can"
        )));
    }
    Ok(envelope)
}

/// Returns whether the message has an envelope.
///
/// # Errors
/// Returns an error if the envelope has another form.
fn is_envelope(message: &Message) -> Result<bool, MapError> {
    let essence = message.header.content_type.split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    match essence.strip_prefix("application/cloudevents") {
        Some("+json") => Ok(true),
        Some(_) => Err(MapError::new(format!(
            "`{essence}` cannot be read, only `{CONTENT_TYPE}`"
        ))),
        None => Ok(false),
    }
}

/// An extension has a plain name, and no fraction: CloudEvents has no such type.
fn is_extension(name: &str, value: &BagValue) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !name.is_empty()
        && name.bytes().all(plain)
        && !ATTRIBUTES.contains(&name)
        && !matches!(value, BagValue::Float(_))
}

fn bag_value(value: Value) -> Option<BagValue> {
    match value {
        Value::Bool(value) => Some(value.into()),
        Value::String(text) => Some(text.into()),
        Value::Number(number) => {
            let whole = number.as_i64().map(BagValue::from);
            whole.or_else(|| number.as_f64().map(BagValue::from))
        }
        Value::Null => None,
        // Arrays and objects are kept as text, so that nothing of an envelope is lost.
        other @ (Value::Array(_) | Value::Object(_)) => Some(other.to_string().into()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::id::MessageId;
    use crate::message::{EventAttributes, MessageBody, MessageType};
    use crate::trace::TraceContext;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Order {
        amount: u32,
    }

    fn header() -> MessageHeader {
        let mut header = MessageHeader::new("order-7".into(), "Order.Placed", MessageType::Event)
            .with_priority(6)
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
                    .with_tracestate("a=1"),
            );
        header.timestamp = UNIX_EPOCH + Duration::from_millis(1_790_000_000_123);
        header.bag.insert("tenant", "north");
        header.bag.insert("Not-An-Extension", 1);
        header
    }

    fn received(content_type: &str, body: &str) -> Message {
        let header = MessageHeader::new(MessageId::new(), "topic", MessageType::Event);
        Message::new(
            header.with_content_type(content_type.to_owned()),
            MessageBody::new(body.to_owned()),
        )
    }

    fn enriched(message: &Message) -> MessageHeader {
        let header = MessageMapper::<Order>::header_of(&CloudEventsMapper, message);
        header.unwrap().unwrap()
    }

    #[test]
    fn an_envelope_is_as_cloudevents_has_it_and_comes_back() {
        let message = CloudEventsMapper
            .to_message(&Order { amount: 7 }, header())
            .unwrap();
        assert_eq!(message.header.content_type, CONTENT_TYPE);
        let json: Value = serde_json::from_slice(message.body.as_bytes()).unwrap();
        let expected = serde_json::json!({
            "id": "order-7", "specversion": "1.0", "source": "urn:shop", "type": "order.placed",
            "datacontenttype": "application/json", "dataschema": "urn:schema", "subject": "seven",
            "time": "2026-09-21T14:13:20.123Z", "traceparent": PARENT, "tracestate": "a=1",
            "tenant": "north", "data": { "amount": 7 },
        });
        assert_eq!(json, expected);
        let request: Order = CloudEventsMapper.to_request(&message).unwrap();
        assert_eq!(request, Order { amount: 7 });
        assert_eq!(enriched(&message), message.header);
    }

    #[test]
    fn the_envelope_says_what_the_headers_do_not() {
        let message = received(
            "Application/CloudEvents+JSON; charset=utf-8",
            &format!(
                r#"{{"specversion":"1.0","id":"e-1","source":"urn:s","type":"t","dataschema":null,"subject":null,
                "time":"2026-09-21T14:13:20.123Z","traceparent":"{PARENT}","datacontenttype":"application/json",
                "count":3,"mine":{{"a":[1]}},"nothing":null,"data":{{"amount":1}}}}"#
            ),
        );
        let header = enriched(&message);
        assert_eq!(header.id, "e-1".into());
        assert_eq!((header.event_type(), header.source()), ("t", "urn:s"));
        assert_eq!(header.trace.traceparent(), Some(PARENT));
        assert_eq!(
            header.timestamp,
            UNIX_EPOCH + Duration::from_millis(1_790_000_000_123)
        );
        assert_eq!(header.bag.get("count"), Some(&BagValue::Int(3)));
        assert_eq!(header.bag.get("mine"), Some(&BagValue::from(r#"{"a":[1]}"#)));
        assert_eq!(header.bag.len(), 2);
    }

    #[test]
    fn data_may_be_base64_or_the_plain_body() {
        for (content_type, body) in [
            (
                CONTENT_TYPE,
                r#"{"specversion":"1.0","id":"1","data_base64":"eyJhbW91bnQiOjl9"}"#,
            ),
            ("application/json", r#"{"amount":9}"#),
        ] {
            let request: Order = CloudEventsMapper
                .to_request(&received(content_type, body))
                .unwrap();
            assert_eq!(request, Order { amount: 9 });
        }
    }

    #[test]
    fn an_invalid_envelope_has_a_reason() {
        for (content_type, body, reason) in [
            (CONTENT_TYPE, r#"{"data":{"amount":1}}"#, "specversion"),
            (CONTENT_TYPE, r#"{"specversion":"0.3"}"#, "1.0 can"),
            (
                CONTENT_TYPE,
                r#"{"specversion":"1.0","data_base64":"?"}"#,
                "Invalid",
            ),
            (CONTENT_TYPE, r#"{"specversion":"1.0"}"#, "null"),
            (
                "application/cloudevents-batch+json",
                "[]",
                "only `application/cloudevents+json`",
            ),
        ] {
            let read: Result<Order, _> = CloudEventsMapper.to_request(&received(content_type, body));
            let said = read.unwrap_err().to_string();
            assert!(said.contains(reason), "{said}");
        }
        let forged = received(CONTENT_TYPE, r#"{"specversion":"1.0","id":"a\nb"}"#);
        assert!(MessageMapper::<Order>::header_of(&CloudEventsMapper, &forged).is_err());
    }
}
