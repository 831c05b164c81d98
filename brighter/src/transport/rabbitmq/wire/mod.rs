//! A [`Message`](crate::message::Message) as AMQP properties, and back. Pure: nothing here talks to anyone.
//!
//! The form is that of Brighter for .NET, so that both can share a queue.

mod copy;
mod read;
mod time;
mod write;

#[cfg(test)]
mod tests;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};

pub(super) use copy::{for_retry, set_aside};
pub(super) use read::{Original, message};
pub(super) use write::{header_bytes, properties};

use crate::message::{MAX_NAME_BYTES, NameError};

/// The headers that are ours. .NET reads them in exactly this case.
mod name {
    pub(super) const MESSAGE_TYPE: &str = "MessageType";
    pub(super) const TOPIC: &str = "Topic";
    pub(super) const HANDLED_COUNT: &str = "HandledCount";
    pub(super) const CORRELATION_ID: &str = "CorrelationId";
    pub(super) const CE_ID: &str = "cloudEvents_id";
    pub(super) const CE_SPEC_VERSION: &str = "cloudEvents_specversion";
    pub(super) const CE_TYPE: &str = "cloudEvents_type";
    pub(super) const CE_SOURCE: &str = "cloudEvents_source";
    pub(super) const CE_TIME: &str = "cloudEvents_time";

    /// What .NET adds to what it sends again; it means nothing to the next reader.
    const DELIVERY_TAG: &str = "DeliveryTag";
    /// Sends the message to further queues: RabbitMQ's "sender-selected distribution".
    const CC: &str = "CC";
    const BCC: &str = "BCC";

    const OURS: [&str; 9] = [
        MESSAGE_TYPE,
        TOPIC,
        HANDLED_COUNT,
        CORRELATION_ID,
        CE_ID,
        CE_SPEC_VERSION,
        CE_TYPE,
        CE_SOURCE,
        CE_TIME,
    ];
    /// What the broker writes when it moves a message itself.
    const DEATHS: [&str; 3] = ["x-death", "x-first-death-", "x-last-death-"];

    /// Whether two header names mean the same: in any case, with `cloudEvents:` for `cloudEvents_`, as the
    /// CloudEvents binding for AMQP has it.
    pub(super) fn same(one: &str, other: &str) -> bool {
        let alike = |a: u8, b: u8| a.eq_ignore_ascii_case(&b) || (is_separator(a) && is_separator(b));
        one.len() == other.len() && one.bytes().zip(other.bytes()).all(|(a, b)| alike(a, b))
    }

    fn is_separator(byte: u8) -> bool {
        matches!(byte, b'_' | b':')
    }

    pub(super) fn is_ours(name: &str) -> bool {
        OURS.iter().any(|ours| same(ours, name)) || same(DELIVERY_TAG, name)
    }

    pub(super) fn steers_the_broker(name: &str) -> bool {
        name == CC || name == BCC
    }

    pub(super) fn is_death(name: &str) -> bool {
        DEATHS.iter().any(|death| name.starts_with(death))
    }
}

/// Text as a short string. lapin's own conversion panics on a long one.
pub(super) fn short(what: &'static str, text: &str) -> Result<ShortString, NameError> {
    ShortString::try_new(text).map_err(|_| NameError::TooLong {
        what,
        bytes: text.len(),
        begins: text.chars().take(24).collect(),
    })
}

/// A name of our own making, which is short.
fn known(name: &'static str) -> ShortString {
    debug_assert!(name.len() <= MAX_NAME_BYTES);
    ShortString::try_new(name).unwrap_or_default()
}

/// Text as a header value: always a long string, because .NET reads a short one as a number.
fn text(text: impl Into<String>) -> AMQPValue {
    AMQPValue::LongString(LongString::from(text.into()))
}

/// The header of this name: as written, or else in another spelling of the same.
fn find<'a>(headers: &'a FieldTable, name: &str) -> Option<&'a AMQPValue> {
    let headers = headers.inner();
    headers.get(name).or_else(|| {
        headers
            .iter()
            .find(|(other, _)| name::same(name, other.as_str()))
            .map(|(_, value)| value)
    })
}

/// What must survive a restart of the broker.
const PERSISTENT: u8 = 2;

fn headers_of(properties: &BasicProperties) -> FieldTable {
    properties.headers().clone().unwrap_or_default()
}
