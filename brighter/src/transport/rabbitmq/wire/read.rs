//! AMQP properties in, message out: ours, and those of every version of Brighter for .NET.

use std::borrow::Cow;
use std::time::SystemTime;

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::{find, name, time};
use crate::id::MessageId;
use crate::message::{Bag, BagValue, MAX_NAME_BYTES, Message, MessageBody, MessageHeader, MessageType};

/// A message as the broker brought it.
#[derive(Debug, Clone)]
pub(in super::super) struct Original {
    pub(in super::super) routing_key: ShortString,
    pub(in super::super) properties: BasicProperties,
    pub(in super::super) body: Bytes,
}

/// The message, or why it is none.
pub(in super::super) fn message(original: &Original) -> Result<Message, String> {
    let none = FieldTable::default();
    let properties = &original.properties;
    let headers = properties.headers().as_ref().unwrap_or(&none);
    let field = |name| find(headers, name).map_or(Ok(None), |value| string(name, value));

    let bag = bag(headers)?;
    let id =
        property(properties.message_id()).map_or_else(|| field(name::CE_ID), |id| Ok(Some(id.into())))?;
    if let Some(id) = id.as_ref().filter(|id: &&String| id.len() > MAX_NAME_BYTES) {
        // It could be handled, but never sent again.
        return Err(format!(
            "the message id has {} bytes, and 255 at most can be sent",
            id.len()
        ));
    }
    let mut header = MessageHeader::new(
        id.map_or_else(MessageId::new, MessageId::from),
        topic(original, headers)?,
        message_type(headers)?,
    );
    header.timestamp = timestamp(properties, field(name::CE_TIME)?);
    header.correlation_id = field(name::CORRELATION_ID)?
        .or_else(|| property(properties.correlation_id()).map(str::to_owned))
        .map(MessageId::from);
    if let Some(content_type) = property(properties.content_type()) {
        header.content_type = Cow::Owned(content_type.to_owned());
    }
    header.handled_count = find(headers, name::HANDLED_COUNT).map_or(0, count);
    header.bag = bag;
    Ok(Message::new(header, MessageBody::new(original.body.clone())))
}

/// The topic that the sender wrote, or else the one the message was published under.
pub(super) fn topic(original: &Original, headers: &FieldTable) -> Result<String, String> {
    let written = find(headers, name::TOPIC).map_or(Ok(None), |value| string(name::TOPIC, value))?;
    Ok(written.unwrap_or_else(|| original.routing_key.as_str().to_owned()))
}

fn message_type(headers: &FieldTable) -> Result<MessageType, String> {
    let Some(value) = find(headers, name::MESSAGE_TYPE) else {
        return Ok(MessageType::Event);
    };
    let written = string(name::MESSAGE_TYPE, value)?
        .ok_or_else(|| format!("the header `{}` is not a text", name::MESSAGE_TYPE))?;
    MessageType::parse(&written).ok_or_else(|| {
        let shown: String = written.chars().take(48).collect();
        format!("unknown MessageType {shown:?}")
    })
}

/// The property counts seconds; the header, when it says the same, knows the milliseconds.
fn timestamp(properties: &BasicProperties, precise: Option<String>) -> SystemTime {
    let coarse = properties.timestamp().and_then(time::from_seconds);
    let precise = precise.and_then(|text| time::from_rfc3339(&text));
    match (coarse, precise) {
        (Some(coarse), Some(precise)) if time::seconds(coarse) == time::seconds(precise) => precise,
        (Some(coarse), _) => coarse,
        (None, Some(precise)) => precise,
        (None, None) => SystemTime::now(),
    }
}

/// How often it was handled, by whatever kind of number the sender chose; nonsense counts as never.
fn count(value: &AMQPValue) -> u32 {
    let count = integer(value).or_else(|| match value {
        // A cast of a float saturates, and makes zero of what is no number.
        AMQPValue::Float(number) => Some(*number as i64),
        AMQPValue::Double(number) => Some(*number as i64),
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok()?.trim().parse().ok(),
        AMQPValue::ShortString(text) => text.as_str().trim().parse().ok(),
        _ => None,
    });
    u32::try_from(count.unwrap_or(0).max(0)).unwrap_or(u32::MAX)
}

fn integer(value: &AMQPValue) -> Option<i64> {
    Some(match value {
        AMQPValue::ShortShortInt(number) => (*number).into(),
        AMQPValue::ShortShortUInt(number) => (*number).into(),
        AMQPValue::ShortInt(number) => (*number).into(),
        AMQPValue::ShortUInt(number) => (*number).into(),
        AMQPValue::LongInt(number) => (*number).into(),
        AMQPValue::LongUInt(number) => (*number).into(),
        AMQPValue::LongLongInt(number) => *number,
        _ => return None,
    })
}

/// The text of a header that is one and not empty; none of any other kind of value.
fn string(name: &str, value: &AMQPValue) -> Result<Option<String>, String> {
    let text = match value {
        AMQPValue::LongString(bytes) => utf8(name, bytes.as_bytes())?,
        AMQPValue::ShortString(text) => text.as_str(),
        _ => return Ok(None),
    };
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn utf8<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str, String> {
    std::str::from_utf8(bytes).map_err(|_| format!("the header {name:?} is not UTF-8"))
}

fn property(value: &Option<ShortString>) -> Option<&str> {
    value
        .as_ref()
        .map(ShortString::as_str)
        .filter(|text| !text.is_empty())
}

/// Every header that is not ours. What the bag cannot hold (lists, tables, bytes) is left out.
fn bag(headers: &FieldTable) -> Result<Bag, String> {
    let mut bag = Bag::default();
    for (name, value) in headers {
        let name = name.as_str();
        let value = match value {
            AMQPValue::LongString(text) => BagValue::from(utf8(name, text.as_bytes())?),
            AMQPValue::ShortString(text) => text.as_str().into(),
            AMQPValue::Boolean(value) => (*value).into(),
            AMQPValue::Float(number) => f64::from(*number).into(),
            AMQPValue::Double(number) => (*number).into(),
            other => match integer(other) {
                Some(number) => number.into(),
                None => continue,
            },
        };
        if !name::is_ours(name) && !name::steers_the_broker(name) && !name::is_death(name) {
            bag.insert(name, value);
        }
    }
    Ok(bag)
}
