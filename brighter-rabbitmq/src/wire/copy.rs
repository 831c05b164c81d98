//! The properties of copies: of a message that is delivered again, and of a rejected one.

use std::time::SystemTime;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use super::amqp::{PERSISTENT, headers_of, known, text};
use super::common::readable;
use super::header_table::HeaderTable;
use super::name::{self, KnownHeader, TRACE_STATE_TWIN};
use super::read::{Original, topic};
use super::size::{entry_bytes, header_bytes, table_bytes};
use super::value;
use super::write::write;
use crate::headers::Headers;
use brighter_core::__private::cut;
use brighter_core::channel::{Rejection, rejection_headers};
use brighter_core::message::{DEFAULT_CONTENT_TYPE, Message, MessageType, NameError, RoutingKey};

/// Returns the properties that every copy keeps: all except those that would make the broker refuse it, drop it, or
/// route it elsewhere.
///
/// The broker refuses a copy with the `user_id` of another user, drops it after an `expiration`, and routes it
/// elsewhere by a `CC`.
fn kept(original: &BasicProperties) -> BasicProperties {
    type Setter = fn(BasicProperties, ShortString) -> BasicProperties;
    let texts: [(&Option<ShortString>, Setter); 8] = [
        (original.content_type(), BasicProperties::with_content_type),
        (
            original.content_encoding(),
            BasicProperties::with_content_encoding,
        ),
        (original.correlation_id(), BasicProperties::with_correlation_id),
        (original.reply_to(), BasicProperties::with_reply_to),
        (original.message_id(), BasicProperties::with_message_id),
        (original.kind(), BasicProperties::with_type),
        (original.app_id(), BasicProperties::with_app_id),
        (original.cluster_id(), BasicProperties::with_cluster_id),
    ];
    let mut copy = BasicProperties::default().with_delivery_mode(PERSISTENT);
    for (value, set) in texts {
        if let Some(value) = value {
            copy = set(copy, value.clone());
        }
    }
    if let Some(priority) = original.priority() {
        copy = copy.with_priority(*priority);
    }
    if let Some(timestamp) = original.timestamp() {
        copy = copy.with_timestamp(*timestamp);
    }
    copy
}

/// Returns the properties of a copy for a retry: those of the original, except for those that brighter itself
/// maintains.
///
/// The broker's own record of moves is removed. With it, the broker would detect a cycle in a retry, and drop it.
///
/// # Errors
/// Returns an error if a text for a short string is too long. No message that was read has such a text.
pub(crate) fn for_retry(original: &Original, message: &Message) -> Result<BasicProperties, NameError> {
    copy(original, message, |_, _| true)
}

/// Returns the properties of a copy whose delay has not ended: those of the original.
pub(crate) fn waiting_on(original: &Original) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in &headers_of(&original.properties) {
        if name::is_copied(name.as_str()) {
            headers.insert(name.clone(), value.clone());
        }
    }
    with_readable_types(kept(&original.properties), headers)
}

/// Returns the properties with these headers, and with two types that .NET can read: what its consumers cannot read, at which
/// they would stop for good, is in headers of ours instead.
fn with_readable_types(copy: BasicProperties, mut headers: FieldTable) -> BasicProperties {
    let written =
        |property: &Option<ShortString>| property.as_ref().map(ToString::to_string).unwrap_or_default();
    let (content_type, kind) = (written(copy.content_type()), written(copy.kind()));
    let mut move_aside = |known_as: KnownHeader, words: &str| {
        headers.insert(known(known_as.as_str()), text(words));
    };
    let mut copy = copy;
    let default = || ShortString::try_new(DEFAULT_CONTENT_TYPE).unwrap_or_default();
    if !content_type.is_empty() && readable(&content_type) != content_type {
        move_aside(KnownHeader::ContentType, &content_type);
        copy = copy.with_content_type(default());
    }
    if !kind.is_empty() && readable(&kind) != kind {
        move_aside(KnownHeader::Kind, &kind);
        let media_type = copy
            .content_type()
            .clone()
            .filter(|text| !text.as_str().is_empty());
        copy = copy.with_type(media_type.unwrap_or_else(default));
    }
    copy.with_headers(headers)
}

/// Returns the properties with the types that the sender wrote.
fn with_senders_types(mut copy: BasicProperties, old: &HeaderTable<'_>) -> BasicProperties {
    let written = |known_as| {
        let text = Some(value::lenient(old.get(known_as))).filter(|text| !text.is_empty())?;
        ShortString::try_new(text).ok()
    };
    if let Some(content_type) = written(KnownHeader::ContentType) {
        copy = copy.with_content_type(content_type);
    }
    if let Some(kind) = written(KnownHeader::Kind) {
        copy = copy.with_type(kind);
    }
    copy
}

/// Returns the properties of a copy that goes to another channel: those of the original, replaced by those of the
/// message with its bag. Values that a bag cannot hold are copied unchanged.
///
/// # Errors
/// Returns an error if a text for a short string is too long.
pub(crate) fn for_another(original: &Original, message: &Message) -> Result<BasicProperties, NameError> {
    copy(original, message, |_, value| value::of_bag(value).is_none())
}

/// Returns a copy in which the message takes precedence over the original. `kept_free` selects the application's
/// headers to keep.
fn copy(
    original: &Original,
    message: &Message,
    kept_free: impl Fn(&str, &AMQPValue) -> bool,
) -> Result<BasicProperties, NameError> {
    let written = write(&message.header, Headers::Full)?;
    let old = headers_of(&original.properties);
    let mut headers = headers_of(&written);
    for (name, value) in &old {
        match KnownHeader::of(name.as_str()) {
            // For all other headers of brighter, the message takes precedence.
            Some(kept @ (KnownHeader::Delay | KnownHeader::OriginalId | KnownHeader::Kind)) => {
                headers.insert(known(kept.as_str()), value.clone());
            }
            None if name::is_copied(name.as_str()) && kept_free(name.as_str(), value) => {
                headers.insert(name.clone(), value.clone());
            }
            Some(_) | None => {}
        }
    }
    let senders = HeaderTable::of(&old);
    for attribute in KnownHeader::SENDERS {
        if let Some(value) = senders.get(attribute) {
            headers.insert(known(attribute.as_str()), value.clone());
            if attribute == KnownHeader::TraceState {
                headers.insert(known(TRACE_STATE_TWIN), value.clone());
            }
        }
    }
    // What came in the other spelling too goes on in both, and the trace always does.
    for (known_as, with_colon) in name::WITH_COLON {
        if (known_as.is_of_the_trace() || old.contains_key(with_colon))
            && let Some(value) = headers.inner().get(known_as.as_str()).cloned()
        {
            headers.insert(known(with_colon), value);
        }
    }
    let mut copy = kept(&original.properties);
    if let Some(id) = written.message_id() {
        copy = copy.with_message_id(id.clone());
    }
    if let Some(content_type) = written.content_type() {
        copy = copy.with_content_type(content_type.clone());
        if original.properties.kind().is_none() {
            copy = copy.with_type(content_type.clone());
        }
    }
    Ok(with_readable_types(copy, headers))
}

/// Returns the properties of a copy that replaces its original in the same queue: those of the original, with the
/// number of unsettled deliveries.
pub(crate) fn counted(original: &Original, redeliveries: u32) -> BasicProperties {
    let old = headers_of(&original.properties);
    let mut headers = FieldTable::default();
    for (name, value) in &old {
        let is_count = KnownHeader::of(name.as_str()) == Some(KnownHeader::Redeliveries);
        if !is_count && name::is_copied(name.as_str()) {
            headers.insert(name.clone(), value.clone());
        }
    }
    name_topic(&mut headers, original, &old);
    let count = AMQPValue::LongLongInt(redeliveries.into());
    headers.insert(known(KnownHeader::Redeliveries.as_str()), count);
    with_readable_types(kept(&original.properties), headers)
}

/// Adds the topic, unless the sender wrote it: the copy is published under the name of a queue.
fn name_topic(headers: &mut FieldTable, original: &Original, old: &FieldTable) {
    let old = HeaderTable::of(old);
    let written = old.get(KnownHeader::Topic);
    if matches!(
        written,
        Some(AMQPValue::LongString(_) | AMQPValue::ShortString(_))
    ) {
        return;
    }
    let topic = topic_or_routing_key(original, &old);
    headers.insert(known(KnownHeader::Topic.as_str()), text(topic.as_str()));
}

/// Returns the topic, or the routing key as it is if no topic can be read.
fn topic_or_routing_key(original: &Original, old: &HeaderTable<'_>) -> RoutingKey {
    topic(original, old).unwrap_or_else(|_| original.routing_key.as_str().into())
}

/// Returns the properties of a rejected copy: those of the original, and the reason.
///
/// The message must leave its queue. So headers that exceed `limit`, counted as in [`header_bytes`], are left out, the
/// largest first. The copy names them.
pub(crate) fn set_aside(
    original: &Original,
    rejection: &Rejection,
    now: SystemTime,
    limit: usize,
) -> BasicProperties {
    let old = headers_of(&original.properties);
    let copy = with_senders_types(kept(&original.properties), &HeaderTable::of(&old));
    let mut headers = notes(original, &old, rejection, now);
    // A topic that cannot be read would make the dead letter unreadable too.
    if topic(original, &HeaderTable::of(&old)).is_ok() {
        name_topic(&mut headers, original, &old);
    }
    let mut room = limit
        .saturating_sub(header_bytes(&copy))
        .saturating_sub(table_bytes(&headers) + MOST_BYTES_OF_LEFT_OUT);

    let mut rest: Vec<_> = old
        .inner()
        .iter()
        .filter(|(name, _)| {
            // It does not wait where it goes, and sent back from there it begins a new count. Its types are where they were.
            let known = KnownHeader::of(name.as_str());
            use KnownHeader::{ContentType, Kind, NotBefore, Redeliveries};
            !matches!(known, Some(NotBefore | Redeliveries | ContentType | Kind))
                && !name::steers_the_broker(name.as_str())
                && !rejection_headers::is_one(name.as_str())
        })
        .map(|(name, value)| (entry_bytes(name.as_str(), value), name, value))
        .collect();
    rest.sort_by_key(|(bytes, ..)| *bytes);
    let mut left_out = Vec::new();
    for (bytes, name, value) in rest {
        if bytes <= room {
            room -= bytes;
            headers.insert(name.clone(), value.clone());
        } else {
            left_out.push(name.as_str());
        }
    }
    if !left_out.is_empty() {
        let mut names = format!("; left out for want of room: {left_out:?}");
        names.truncate(cut(&names, MOST_BYTES_OF_LEFT_OUT).len());
        let reason = format!("{}{names}", rejection.reason);
        headers.insert(known(rejection_headers::MESSAGE), text(reason));
    }
    copy.with_headers(headers)
}

/// The longest list of omitted headers, in bytes.
const MOST_BYTES_OF_LEFT_OUT: usize = 512;

/// Returns the headers that record the rejection. An unreadable value is omitted; a person can read the original
/// header.
fn notes(original: &Original, old: &FieldTable, rejection: &Rejection, now: SystemTime) -> FieldTable {
    let headers = HeaderTable::of(old);
    let topic = topic_or_routing_key(original, &headers);
    let message_type = match headers.get(KnownHeader::MessageType) {
        None => Some(MessageType::Event.as_str()),
        written => Some(value::lenient(written)).filter(|text| !text.is_empty()),
    };
    let attempts = value::count(headers.get(KnownHeader::HandledCount)).saturating_add(1);
    let mut table = FieldTable::default();
    for (name, value) in rejection.notes(topic.as_str(), message_type, attempts, now) {
        table.insert(known(name), value::to_amqp(&value));
    }
    if let (None, Some(rounds)) = (&rejection.rounds, rejected_by(original)) {
        table.insert(known(rejection_headers::REJECTED_BY), text(rounds));
    }
    table
}

/// Returns how often each channel has rejected the message, by its header.
pub(crate) fn rejected_by(original: &Original) -> Option<&str> {
    let headers = original.properties.headers().as_ref()?;
    let rounds = headers.inner().get(rejection_headers::REJECTED_BY);
    Some(value::lenient(rounds)).filter(|rounds| !rounds.is_empty())
}
