//! Converts AMQP properties to messages: those of brighter, and of every version of Brighter for .NET.

use std::borrow::Cow;
use std::time::SystemTime;

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::header_table::HeaderTable;
use super::name::{BARE_TRACE_PARENT, BARE_TRACE_STATE, KnownHeader, is_free};
use super::nesting::MAX_LEVELS;
use super::value;
use brighter_core::__private::{media_type, rfc3339};
use brighter_core::id::MessageId;
use brighter_core::message::{
    Bag, DEFAULT_CONTENT_TYPE, DEFAULT_SOURCE, EventAttributes, MAX_NAME_BYTES, Message, MessageBody,
    MessageHeader, MessageType, RoutingKey,
};
use brighter_core::trace::TraceContext;

/// A message as it was received from the broker.
#[derive(Debug, Clone)]
pub(crate) struct Original {
    pub(crate) routing_key: ShortString,
    pub(crate) properties: BasicProperties,
    pub(crate) body: Bytes,
}

/// Returns the message, or why the data is not one.
pub(crate) fn message(original: &Original) -> Result<Message, String> {
    let none = FieldTable::default();
    let properties = &original.properties;
    let table = properties.headers().as_ref().unwrap_or(&none);

    for (name, value) in table {
        if value::is_nested_deeper(value, MAX_LEVELS) {
            let name = name.as_str();
            return Err(format!(
                "the header {name:?} holds tables or lists nested more than {MAX_LEVELS} deep"
            ));
        }
    }
    let mut bag = Bag::default();
    let headers = HeaderTable::read(table, |name, value| {
        // A value that the bag cannot hold stays in the original, and is in every copy of it.
        if let Some(value) = value::of_bag(value).filter(|_| is_free(name)) {
            bag.insert(name, value);
        }
    });
    let mut header = MessageHeader::new(
        id(properties, &headers)?,
        topic(original, &headers)?,
        message_type(&headers)?,
    );
    header.timestamp = timestamp(properties, value::lenient(headers.get(KnownHeader::Time)));
    header.correlation_id = correlation_id(properties, &headers)?;
    header.content_type = content_type(properties, &headers);
    header.reply_to = property("reply_to", properties.reply_to())?.map(RoutingKey::from);
    header.event = event(&headers, &header.topic)?;
    header.trace = trace(table, &headers);
    header.priority = *properties.priority();
    header.delayed = value::delay(headers.get(KnownHeader::Delay));
    header.handled_count = value::count(headers.get(KnownHeader::HandledCount));
    header.bag = bag;
    Ok(Message::new(header, MessageBody::new(original.body.clone())))
}

/// Returns how often earlier copies of the message were delivered without being settled, by its header.
pub(crate) fn redeliveries(original: &Original) -> u32 {
    let Some(table) = original.properties.headers() else {
        return 0;
    };
    value::count(HeaderTable::of(table).get(KnownHeader::Redeliveries))
}

/// Returns the first id of the message. .NET gives a retry a new id, and an inbox must not mistake that for another
/// message.
fn id(properties: &BasicProperties, headers: &HeaderTable<'_>) -> Result<MessageId, String> {
    let header = |known| value::text(known, headers.get(known));
    let id = match header(KnownHeader::OriginalId)? {
        Some(id) => Some(id),
        None => match property("message_id", properties.message_id())? {
            Some(id) => Some(id),
            None => header(KnownHeader::Id)?,
        },
    };
    let Some(id) = id else {
        return Ok(MessageId::new());
    };
    if id.len() > MAX_NAME_BYTES {
        // Such a message could be handled, but never sent again.
        return Err(format!(
            "the message id has {} bytes, and 255 at most can be sent",
            id.len()
        ));
    }
    Ok(MessageId::from(id))
}

/// Returns the topic that the sender wrote, or else the routing key that it published with, which is empty if an exchange
/// does not route by it. A retry is published under another routing key, and so records its topic. When the broker itself
/// moves a message to another queue, it records the routing key of before.
pub(super) fn topic(original: &Original, headers: &HeaderTable<'_>) -> Result<RoutingKey, String> {
    let written = headers.get(KnownHeader::Topic);
    let topic = match written {
        Some(AMQPValue::LongString(_) | AMQPValue::ShortString(_)) => {
            value::text(KnownHeader::Topic, written)?
        }
        _ => {
            let first = first_routing_key(&original.properties);
            value::plain("the routing key", first.unwrap_or(original.routing_key.as_str()))?
        }
    };
    Ok(topic.unwrap_or_default().into())
}

/// Returns the routing key of a message before the broker first moved it to another queue. The header `x-death` lists the
/// moves, the latest first: see <https://www.rabbitmq.com/docs/dlx#effects>.
fn first_routing_key(properties: &BasicProperties) -> Option<&str> {
    let headers = properties.headers().as_ref()?.inner();
    let AMQPValue::FieldArray(moves) = headers.get("x-death")? else {
        return None;
    };
    let AMQPValue::FieldTable(first) = moves.as_slice().last()? else {
        return None;
    };
    let AMQPValue::FieldArray(keys) = first.inner().get("routing-keys")? else {
        return None;
    };
    Some(value::lenient(keys.as_slice().first())).filter(|key| !key.is_empty())
}

fn message_type(headers: &HeaderTable<'_>) -> Result<MessageType, String> {
    let name = KnownHeader::MessageType.as_str();
    let Some(value) = headers.get(KnownHeader::MessageType) else {
        return Ok(MessageType::Event);
    };
    let text = match value {
        AMQPValue::LongString(bytes) => value::utf8(name, bytes.as_bytes())?,
        AMQPValue::ShortString(text) => text.as_str(),
        _ => return Err(format!("the header `{name}` is not a text")),
    };
    MessageType::parse(text).ok_or_else(|| {
        let begins: String = text.chars().take(48).collect();
        format!("unknown MessageType {begins:?}")
    })
}

/// Accepts a number, because some senders number conversations. An invalid id is ignored.
fn correlation_id(
    properties: &BasicProperties,
    headers: &HeaderTable<'_>,
) -> Result<Option<MessageId>, String> {
    let header = headers.get(KnownHeader::CorrelationId);
    if let Some(number) = header.and_then(value::integer) {
        return Ok(Some(number.to_string().into()));
    }
    let id = match value::text(KnownHeader::CorrelationId, header)? {
        Some(id) => Some(id),
        None => property("correlation_id", properties.correlation_id())?,
    };
    Ok(id.map(MessageId::from))
}

/// The property `type` is the media type of the body too, where it is one. What a copy could not have as a property is in
/// a header.
fn content_type(properties: &BasicProperties, headers: &HeaderTable<'_>) -> Cow<'static, str> {
    let senders = value::lenient(headers.get(KnownHeader::ContentType));
    if !senders.is_empty() {
        return Cow::Owned(senders.to_owned());
    }
    fn written(property: &Option<ShortString>) -> Option<&str> {
        let text = property.as_ref()?.as_str();
        (!text.is_empty()).then_some(text)
    }
    let content_type = written(properties.content_type());
    match content_type.or_else(|| written(properties.kind()).filter(|kind| media_type::is_valid(kind))) {
        // The usual values need no allocation.
        None | Some(DEFAULT_CONTENT_TYPE) => Cow::Borrowed(DEFAULT_CONTENT_TYPE),
        Some("application/json") => Cow::Borrowed("application/json"),
        Some(other) => Cow::Owned(other.to_owned()),
    }
}

/// The header knows the milliseconds; and .NET takes a time with an offset for one without when it writes the property.
fn timestamp(properties: &BasicProperties, precise: &str) -> SystemTime {
    let coarse = || properties.timestamp().and_then(rfc3339::from_seconds);
    rfc3339::read(precise)
        .or_else(coarse)
        .unwrap_or_else(SystemTime::now)
}

fn event(headers: &HeaderTable<'_>, topic: &RoutingKey) -> Result<EventAttributes, String> {
    let text = |known| value::text(known, headers.get(known));
    let mut event = EventAttributes::default();
    event.event_type = text(KnownHeader::Type)?
        .filter(|kind| *topic != *kind)
        .map(Into::into);
    event.source = text(KnownHeader::Source)?
        .filter(|source| !is_default(source))
        .map(Into::into);
    event.subject = text(KnownHeader::Subject)?.map(Into::into);
    event.data_schema = text(KnownHeader::DataSchema)?.map(Into::into);
    Ok(event)
}

/// .NET adds the slash.
fn is_default(source: &str) -> bool {
    source == DEFAULT_SOURCE || DEFAULT_SOURCE.strip_suffix('/') == Some(source)
}

/// Drops invalid values, because nothing is decided by a trace.
fn trace(table: &FieldTable, headers: &HeaderTable<'_>) -> TraceContext {
    let ours = |known| value::lenient(headers.get(known));
    let bare = |name: &str| value::lenient(table.inner().get(name));
    let mut trace = TraceContext::default().with_traceparent(ours(KnownHeader::TraceParent));
    trace = match trace.traceparent() {
        Some(_) => trace.with_tracestate(ours(KnownHeader::TraceState)),
        None => trace
            .with_traceparent(bare(BARE_TRACE_PARENT))
            .with_tracestate(bare(BARE_TRACE_STATE)),
    };
    trace.with_baggage(ours(KnownHeader::Baggage))
}

fn property<'a>(name: &str, value: &'a Option<ShortString>) -> Result<Option<&'a str>, String> {
    value
        .as_ref()
        .map_or(Ok(None), |text| value::plain(name, text.as_str()))
}
