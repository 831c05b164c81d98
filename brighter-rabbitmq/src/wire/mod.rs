//! A [`Message`](brighter_core::message::Message) as AMQP properties, and back. Pure: nothing here talks to anyone.
//!
//! The form is that of Brighter for .NET, so that both can share a queue; and it is that of CloudEvents in its
//! binary mode. What is read is whatever somebody wrote: a stranger decides nothing by a header but what becomes
//! of his own message.

mod copy;
mod fuzz;
mod headers;
mod micro;
mod name;
mod read;
mod size;
mod value;
mod write;

#[cfg(test)]
mod tests;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};

pub(super) use copy::{for_another, for_retry, set_aside};
pub use fuzz::fuzz_wire;
pub use micro::OnTheWire;
pub(super) use read::{Original, message};
pub(super) use size::header_bytes;
pub(super) use write::properties;

use brighter_core::message::{MAX_NAME_BYTES, NameError};

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

/// Whether a text is a media type, as strictly as .NET reads it: a type, a subtype, and parameters if any.
fn is_mime(text: &str) -> bool {
    let mut parts = text.split(';');
    let essence = parts.next().unwrap_or_default().trim_end_matches(' ');
    let is_token = |part: &str| {
        let is_right = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !part.is_empty() && part.bytes().all(is_right)
    };
    let is_parameter = |part: &str| {
        part.trim_matches(' ')
            .split_once('=')
            .is_some_and(|(name, value)| is_token(name) && (is_token(value) || is_quoted(value)))
    };
    essence
        .split_once('/')
        .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
        && parts.all(is_parameter)
}

fn is_quoted(text: &str) -> bool {
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.is_some_and(|inner| {
        !inner.contains(['"', '\\']) && inner.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    })
}

/// What must survive a restart of the broker.
const PERSISTENT: u8 = 2;

fn headers_of(properties: &BasicProperties) -> FieldTable {
    properties.headers().clone().unwrap_or_default()
}
