//! Converts messages to the least AMQP properties from which a reader makes the same message.

use std::collections::BTreeMap;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::amqp::{known, text};
use super::common::{common_properties, free_headers, unreadable_content_type};
use super::name::KnownHeader;
use brighter_core::__private::rfc3339;
use brighter_core::message::{DEFAULT_SOURCE, MessageHeader, MessageType, NameError};

/// Converts a header to properties, and to headers for what no property holds and no default says.
///
/// # Errors
/// Returns an error if a text for a short string has more than 255 bytes.
pub(super) fn write_lean(header: &MessageHeader) -> Result<BasicProperties, NameError> {
    let id = header.id.to_string();
    let mut properties = common_properties(header, &id)?;
    let mut headers = differing(header)?;
    if let Some(id) = &header.correlation_id {
        let id = id.to_string();
        match ShortString::try_new(id.as_str()) {
            Ok(id) => properties = properties.with_correlation_id(id),
            Err(_) => {
                headers.insert(known(KnownHeader::CorrelationId.as_str()), text(id));
            }
        }
    }
    if !headers.is_empty() {
        properties = properties.with_headers(FieldTable::from(headers));
    }
    Ok(properties)
}

/// Returns a header for each value that differs from the default of a reader.
fn differing(header: &MessageHeader) -> Result<BTreeMap<ShortString, AMQPValue>, NameError> {
    let (event, trace) = (&header.event, &header.trace);
    let owned = |text: &str| Some(text.to_owned());
    let mut headers: BTreeMap<_, _> = free_headers(header).collect::<Result<_, _>>()?;
    for (name, words) in [
        (
            KnownHeader::MessageType,
            (header.message_type != MessageType::Event)
                .then(|| header.message_type.as_str())
                .and_then(owned),
        ),
        (
            KnownHeader::Type,
            Some(header.event_type())
                .filter(|kind| *kind != header.topic.as_str())
                .and_then(owned),
        ),
        (
            KnownHeader::Source,
            Some(header.source())
                .filter(|source| *source != DEFAULT_SOURCE)
                .and_then(owned),
        ),
        (KnownHeader::Subject, event.subject.as_deref().and_then(owned)),
        (
            KnownHeader::DataSchema,
            event.data_schema.as_deref().and_then(owned),
        ),
        (
            // A property of AMQP cannot hold a time before 1970.
            KnownHeader::Time,
            match rfc3339::seconds(header.timestamp) {
                Some(_) => None,
                None => rfc3339::write(header.timestamp),
            },
        ),
        (KnownHeader::TraceParent, trace.traceparent().and_then(owned)),
        (KnownHeader::TraceState, trace.tracestate().and_then(owned)),
        (KnownHeader::Baggage, trace.baggage().and_then(owned)),
        (
            KnownHeader::ContentType,
            unreadable_content_type(header).and_then(owned),
        ),
    ] {
        if let Some(words) = words {
            headers.insert(known(name.as_str()), text(words));
        }
    }
    if header.handled_count > 0 {
        let count = i32::try_from(header.handled_count).unwrap_or(i32::MAX);
        headers.insert(
            known(KnownHeader::HandledCount.as_str()),
            AMQPValue::LongInt(count),
        );
    }
    Ok(headers)
}
