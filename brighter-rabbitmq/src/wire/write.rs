//! Converts messages to AMQP properties.

use std::collections::BTreeMap;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use super::amqp::{known, text};
use super::common::{common_properties, free_headers, unreadable_content_type};
use super::lean::write_lean;
use super::name::{KnownHeader, TRACE_STATE_TWIN, WITH_COLON};
use crate::headers::Headers;
use brighter_core::__private::rfc3339;
use brighter_core::message::{Message, MessageHeader, NameError};

/// Returns the properties of a message that is published.
///
/// # Errors
/// See [`MessageHeader::validate`].
pub(crate) fn properties(message: &Message, headers: Headers) -> Result<BasicProperties, NameError> {
    message.header.validate()?;
    write(&message.header, headers)
}

/// Converts a header to properties.
///
/// # Errors
/// Returns an error if a text for a short string has more than 255 bytes.
pub(super) fn write(header: &MessageHeader, headers: Headers) -> Result<BasicProperties, NameError> {
    match headers {
        Headers::Full => write_full(header, false),
        Headers::BothSpellings => write_full(header, true),
        Headers::Lean => write_lean(header),
    }
}

/// Converts a header to the properties and headers that Brighter for .NET writes.
fn write_full(header: &MessageHeader, colon_too: bool) -> Result<BasicProperties, NameError> {
    let id = header.id.to_string();
    let properties = common_properties(header, &id)?;
    // .NET takes the property `type` for the media type of the body.
    let media_type = properties.content_type().clone().unwrap_or_default();
    Ok(properties
        .with_type(media_type)
        .with_headers(headers(header, id, colon_too)?))
}

fn headers(header: &MessageHeader, id: String, colon_too: bool) -> Result<FieldTable, NameError> {
    let (event, trace) = (&header.event, &header.trace);
    let owned = |text: &str| Some(text.to_owned());
    let count = i32::try_from(header.handled_count).unwrap_or(i32::MAX);
    let mut table = Vec::with_capacity(KnownHeader::COUNT + header.bag.len());
    table.push((
        known(KnownHeader::HandledCount.as_str()),
        AMQPValue::LongInt(count),
    ));
    // Sorted by name: building a table from sorted entries costs least.
    for (name, words) in [
        (
            KnownHeader::CorrelationId.as_str(),
            header.correlation_id.as_ref().map(ToString::to_string),
        ),
        (
            KnownHeader::MessageType.as_str(),
            owned(header.message_type.as_str()),
        ),
        (KnownHeader::Topic.as_str(), owned(header.topic.as_str())),
        (KnownHeader::Baggage.as_str(), trace.baggage().and_then(owned)),
        (
            KnownHeader::DataSchema.as_str(),
            event.data_schema.as_deref().and_then(owned),
        ),
        (KnownHeader::Id.as_str(), Some(id)),
        (KnownHeader::Source.as_str(), owned(header.source())),
        (KnownHeader::SpecVersion.as_str(), owned("1.0")),
        (
            KnownHeader::Subject.as_str(),
            event.subject.as_deref().and_then(owned),
        ),
        (KnownHeader::Time.as_str(), rfc3339::write(header.timestamp)),
        (
            KnownHeader::TraceParent.as_str(),
            trace.traceparent().and_then(owned),
        ),
        (KnownHeader::Type.as_str(), owned(header.event_type())),
        (TRACE_STATE_TWIN, trace.tracestate().and_then(owned)),
        (
            KnownHeader::TraceState.as_str(),
            trace.tracestate().and_then(owned),
        ),
    ] {
        if let Some(words) = words {
            table.push((known(name), text(words)));
        }
    }
    for (field, with_colon) in WITH_COLON {
        if colon_too || (field.is_of_the_trace() && !trace.is_empty()) {
            let mut written = table.iter().filter(|(name, _)| name.as_str() == field.as_str());
            if let Some(value) = written.next().map(|(_, value)| value.clone()) {
                table.push((known(with_colon), value));
            }
        }
    }
    if let Some(content_type) = unreadable_content_type(header) {
        let name = known(KnownHeader::ContentType.as_str());
        table.push((name, text(content_type)));
    }
    for entry in free_headers(header) {
        table.push(entry?);
    }
    Ok(BTreeMap::from_iter(table).into())
}
