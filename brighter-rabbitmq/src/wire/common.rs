//! What messages have in every form of the headers.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, ShortString};

use super::amqp::{PERSISTENT, short};
use super::name::is_free;
use super::value;
use brighter_core::__private::{media_type, rfc3339};
use brighter_core::message::{DEFAULT_CONTENT_TYPE, MessageHeader, NameError};

/// Returns the properties that every form has.
///
/// # Errors
/// Returns an error if a text for a short string has more than 255 bytes.
pub(super) fn common_properties(header: &MessageHeader, id: &str) -> Result<BasicProperties, NameError> {
    let mut properties = BasicProperties::default()
        .with_content_type(short("content type", readable(&header.content_type))?)
        .with_message_id(short("message id", id)?)
        .with_delivery_mode(PERSISTENT);
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

/// Returns the headers that the application added.
pub(super) fn free_headers(
    header: &MessageHeader,
) -> impl Iterator<Item = Result<(ShortString, AMQPValue), NameError>> + '_ {
    header
        .bag
        .iter()
        .filter(|(name, _)| is_free(name))
        .map(|(name, value)| Ok((short("header name", name)?, value::to_amqp(value))))
}

/// Returns the content type if .NET could not read it as a property.
pub(super) fn unreadable_content_type(header: &MessageHeader) -> Option<&str> {
    (readable(&header.content_type) != header.content_type).then_some(&*header.content_type)
}

/// .NET reads the property `type` as a media type, and its consumer stops for good at one that is none. What is posted is
/// one; of a copy of what a stranger wrote it may not be.
pub(super) fn readable(content_type: &str) -> &str {
    if media_type::is_valid(content_type) {
        content_type
    } else {
        DEFAULT_CONTENT_TYPE
    }
}
