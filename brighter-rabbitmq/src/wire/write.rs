//! Converts messages to AMQP properties.

use std::collections::BTreeMap;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use super::amqp::{PERSISTENT, is_mime, known, short, text};
use super::name::{KnownHeader, TRACE_STATE_TWIN, is_free};
use super::value;
use brighter_core::__private::rfc3339;
use brighter_core::message::{DEFAULT_CONTENT_TYPE, Message, MessageHeader, NameError};

/// Returns the properties of a message that is published.
///
/// # Errors
/// See [`MessageHeader::validate`].
pub(crate) fn properties(message: &Message) -> Result<BasicProperties, NameError> {
    message.header.validate()?;
    write(&message.header)
}

/// Converts a header to properties.
///
/// # Errors
/// Returns an error if a text for a short string has more than 255 bytes.
pub(super) fn write(header: &MessageHeader) -> Result<BasicProperties, NameError> {
    let id = header.id.to_string();
    let mut properties = BasicProperties::default()
        .with_content_type(short("content type", &header.content_type)?)
        .with_type(short("content type", mime(&header.content_type))?)
        .with_message_id(short("message id", &id)?)
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers(header, id)?);
    if let Some(seconds) = rfc3339::seconds(header.timestamp) {
        properties = properties.with_timestamp(seconds);
    }
    if let Some(priority) = header.priority {
        properties = properties.with_priority(priority);
    }
    if let Some(reply_to) = &header.reply_to {
        properties = properties.with_reply_to(short("reply address", reply_to.as_str())?);
    }
    Ok(properties)
}

fn headers(header: &MessageHeader, id: String) -> Result<FieldTable, NameError> {
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
    for (name, value) in header.bag.iter().filter(|(name, _)| is_free(name)) {
        table.push((short("header name", name)?, value::to_amqp(value)));
    }
    Ok(BTreeMap::from_iter(table).into())
}

/// Returns the media type for the property `type`: .NET parses it, and rejects the message if it is not one.
fn mime(content_type: &str) -> &str {
    if content_type == DEFAULT_CONTENT_TYPE || is_mime(content_type) {
        content_type
    } else {
        DEFAULT_CONTENT_TYPE
    }
}
