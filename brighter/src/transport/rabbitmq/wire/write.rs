//! Message in, AMQP properties out.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use super::name::{Known, TRACE_STATE_TWIN, is_free};
use super::{PERSISTENT, is_mime, known, short, text, value};
use crate::message::{DEFAULT_CONTENT_TYPE, Message, MessageHeader, NameError, rfc3339};

/// The properties of a message that is published.
///
/// # Errors
/// See [`MessageHeader::validate`].
pub(in super::super) fn properties(message: &Message) -> Result<BasicProperties, NameError> {
    message.header.validate()?;
    write(&message.header)
}

/// The properties that say what a header says.
///
/// # Errors
/// A text that travels as a short string has more than 255 bytes.
pub(super) fn write(header: &MessageHeader) -> Result<BasicProperties, NameError> {
    let mut properties = BasicProperties::default()
        .with_content_type(short("content type", &header.content_type)?)
        .with_type(short("content type", mime(&header.content_type))?)
        .with_message_id(short("message id", &header.id.to_string())?)
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers(header)?);
    if let Some(seconds) = rfc3339::seconds(header.timestamp) {
        properties = properties.with_timestamp(seconds);
    }
    if let Some(reply_to) = &header.reply_to {
        properties = properties.with_reply_to(short("reply address", reply_to.as_str())?);
    }
    Ok(properties)
}

fn headers(header: &MessageHeader) -> Result<FieldTable, NameError> {
    let mut table = FieldTable::default();
    for (name, value) in header.bag.iter().filter(|(name, _)| is_free(name)) {
        table.insert(short("header name", name)?, value::to_amqp(value));
    }
    let count = i32::try_from(header.handled_count).unwrap_or(i32::MAX);
    table.insert(known(Known::HandledCount.as_str()), AMQPValue::LongInt(count));

    let mut say = |name: Known, words: &str| {
        table.insert(known(name.as_str()), text(words));
    };
    say(Known::MessageType, header.message_type.as_str());
    say(Known::Topic, header.topic.as_str());
    say(Known::Id, &header.id.to_string());
    say(Known::SpecVersion, "1.0");
    say(Known::Type, header.event_type());
    say(Known::Source, header.source());
    if let Some(time) = rfc3339::write(header.timestamp) {
        say(Known::Time, &time);
    }
    if let Some(id) = &header.correlation_id {
        say(Known::CorrelationId, &id.to_string());
    }
    let (event, trace) = (&header.event, &header.trace);
    for (name, words) in [
        (Known::Subject, event.subject.as_deref()),
        (Known::DataSchema, event.data_schema.as_deref()),
        (Known::TraceParent, trace.traceparent()),
        (Known::TraceState, trace.tracestate()),
        (Known::Baggage, trace.baggage()),
    ] {
        if let Some(words) = words {
            say(name, words);
        }
    }
    if let Some(state) = trace.tracestate() {
        table.insert(known(TRACE_STATE_TWIN), text(state));
    }
    Ok(table)
}

/// .NET parses the property `type` as a media type, and sets the message aside when it is none.
fn mime(content_type: &str) -> &str {
    if is_mime(content_type) {
        content_type
    } else {
        DEFAULT_CONTENT_TYPE
    }
}
