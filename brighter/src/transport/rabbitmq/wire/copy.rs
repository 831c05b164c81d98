//! The properties of copies: of a message that comes again, and of one that is set aside.

use std::time::SystemTime;

use lapin::BasicProperties;
use lapin::types::{FieldTable, ShortString};

use super::read::{Original, topic};
use super::{PERSISTENT, find, headers_of, known, name, properties, text, time};
use crate::channel::{Rejection, RejectionKind};
use crate::message::{Message, MessageType, NameError};

/// What every copy keeps: all but what would make the broker refuse it, lose it, or send it elsewhere.
///
/// It is refused with the `user_id` of another user, lost with an `expiration`, and a `CC` sends it elsewhere.
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
    let mut headers = FieldTable::default();
    for (name, value) in &headers_of(original) {
        if !name::steers_the_broker(name.as_str()) {
            headers.insert(name.clone(), value.clone());
        }
    }
    copy.with_headers(headers)
}

/// The properties of a copy that comes again: those of the original under those of `message`.
///
/// The broker's own record of moves goes: with it, the broker would take a retry for a message that goes in
/// circles, and drop it.
///
/// # Errors
/// See [`properties`].
pub(in super::super) fn for_retry(
    original: &Original,
    message: &Message,
) -> Result<BasicProperties, NameError> {
    let written = properties(message)?;
    let copy = kept(&original.properties);
    let old = headers_of(&copy);
    let mut headers = headers_of(&written);
    for (name, value) in &old {
        // The attributes of the event are the sender's: ours are only guessed.
        let senders = [name::CE_TYPE, name::CE_SOURCE]
            .into_iter()
            .find(|attribute| name::same(attribute, name.as_str()));
        if let Some(attribute) = senders {
            headers.insert(known(attribute), value.clone());
        } else if find(&headers, name.as_str()).is_none() && !name::is_death(name.as_str()) {
            headers.insert(name.clone(), value.clone());
        }
    }
    let mut copy = copy.with_headers(headers);
    if let Some(id) = written.message_id() {
        copy = copy.with_message_id(id.clone());
    }
    if let Some(content_type) = written.content_type() {
        copy = copy.with_content_type(content_type.clone());
    }
    Ok(copy)
}

/// The properties of a copy that is set aside: those of the original, and why.
pub(in super::super) fn set_aside(
    original: &Original,
    rejection: &Rejection,
    now: SystemTime,
) -> BasicProperties {
    let copy = kept(&original.properties);
    let mut headers = headers_of(&copy);
    // What cannot be read says nothing; the original header is there for a person to look at.
    let topic = topic(original, &headers).unwrap_or_else(|_| original.routing_key.as_str().to_owned());
    let message_type = find(&headers, name::MESSAGE_TYPE)
        .cloned()
        .unwrap_or_else(|| text(MessageType::Event.as_str()));
    // The words of .NET.
    let reason = match rejection.kind {
        RejectionKind::DeadLetter => "DeliveryError",
        RejectionKind::Invalid => "Unacceptable",
    };
    headers
        .insert(known("originalTopic"), text(topic))
        .insert(known("originalMessageType"), message_type)
        .insert(known("rejectionReason"), text(reason))
        .insert(known("rejectionMessage"), text(rejection.reason.as_str()));
    if let Some(now) = time::rfc3339(now) {
        headers.insert(known("rejectionTimestamp"), text(now));
    }
    copy.with_headers(headers)
}
