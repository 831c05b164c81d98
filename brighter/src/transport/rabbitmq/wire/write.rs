//! Message in, AMQP properties out.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use super::{PERSISTENT, known, name, short, text, time};
use crate::message::{BagValue, DEFAULT_CONTENT_TYPE, Message, MessageHeader, NameError};

/// What .NET writes when a publication names no source of its own.
const CE_SOURCE: &str = "http://goparamore.io/";

/// The properties of a message.
///
/// # Errors
/// A text that travels as a short string has more than 255 bytes.
pub(in super::super) fn properties(message: &Message) -> Result<BasicProperties, NameError> {
    let header = &message.header;
    let properties = BasicProperties::default()
        .with_content_type(short("content type", &header.content_type)?)
        .with_type(short("content type", mime(&header.content_type))?)
        .with_message_id(short("message id", &header.id.to_string())?)
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers(header)?);
    Ok(match time::seconds(header.timestamp) {
        Some(seconds) => properties.with_timestamp(seconds),
        None => properties,
    })
}

fn headers(header: &MessageHeader) -> Result<FieldTable, NameError> {
    let mut table = FieldTable::default();
    for (name, value) in header.bag.iter() {
        // One of these would not add to the message: it would change where it goes, or what it is.
        if !name::is_ours(name) && !name::steers_the_broker(name) && !name::is_death(name) {
            table.insert(short("header name", name)?, bag_value(value));
        }
    }
    let count = i32::try_from(header.handled_count).unwrap_or(i32::MAX);
    table
        .insert(known(name::MESSAGE_TYPE), text(header.message_type.as_str()))
        .insert(known(name::TOPIC), text(header.topic.as_str()))
        .insert(known(name::HANDLED_COUNT), AMQPValue::LongInt(count))
        .insert(known(name::CE_ID), text(header.id.to_string()))
        .insert(known(name::CE_SPEC_VERSION), text("1.0"))
        .insert(known(name::CE_TYPE), text(header.topic.as_str()))
        .insert(known(name::CE_SOURCE), text(CE_SOURCE));
    if let Some(time) = time::rfc3339(header.timestamp) {
        table.insert(known(name::CE_TIME), text(time));
    }
    if let Some(id) = &header.correlation_id {
        table.insert(known(name::CORRELATION_ID), text(id.to_string()));
    }
    Ok(table)
}

fn bag_value(value: &BagValue) -> AMQPValue {
    match value {
        BagValue::Bool(value) => AMQPValue::Boolean(*value),
        BagValue::Int(value) => AMQPValue::LongLongInt(*value),
        BagValue::Float(value) => AMQPValue::Double(*value),
        BagValue::Text(value) => text(value.as_str()),
    }
}

/// .NET parses the property `type` as a media type, and sets the message aside when it is none.
fn mime(content_type: &str) -> &str {
    match content_type.split_once('/') {
        Some((kind, subtype)) if !kind.is_empty() && !subtype.is_empty() => content_type,
        _ => DEFAULT_CONTENT_TYPE,
    }
}

/// About how many bytes the properties have on the wire, where all of them share one frame: never fewer.
pub(in super::super) fn header_bytes(properties: &BasicProperties) -> usize {
    /// The frame around them, the flags, and thirteen properties of at most 255 bytes with their lengths.
    const OTHERS: usize = 64 + 13 * 256;
    OTHERS + properties.headers().as_ref().map_or(0, table_bytes)
}

fn table_bytes(table: &FieldTable) -> usize {
    let entries = table.inner().iter();
    4 + entries
        .map(|(name, value)| 1 + name.as_str().len() + value_bytes(value))
        .sum::<usize>()
}

fn value_bytes(value: &AMQPValue) -> usize {
    1 + match value {
        AMQPValue::LongString(text) => 4 + text.len(),
        AMQPValue::ShortString(text) => 1 + text.as_str().len(),
        AMQPValue::ByteArray(bytes) => 4 + bytes.len(),
        AMQPValue::FieldArray(array) => 4 + array.as_slice().iter().map(value_bytes).sum::<usize>(),
        AMQPValue::FieldTable(table) => table_bytes(table),
        // Every other has at most eight bytes.
        _ => 8,
    }
}
