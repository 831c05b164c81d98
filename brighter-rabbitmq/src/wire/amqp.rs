//! Texts and values as AMQP has them.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};

use brighter_core::message::{MAX_NAME_BYTES, NameError};

/// Text as a short string. lapin's own conversion panics on a long one.
pub(crate) fn short(what: &'static str, text: &str) -> Result<ShortString, NameError> {
    ShortString::try_new(text).map_err(|_| NameError::TooLong {
        what,
        bytes: text.len(),
        begins: text.chars().take(24).collect(),
    })
}

/// A name of our own making, which is short.
pub(super) fn known(name: &'static str) -> ShortString {
    debug_assert!(name.len() <= MAX_NAME_BYTES);
    ShortString::try_new(name).unwrap_or_default()
}

/// Text as a header value: always a long string, because .NET reads a short one as a number.
pub(super) fn text(text: impl Into<String>) -> AMQPValue {
    AMQPValue::LongString(LongString::from(text.into()))
}

/// What must survive a restart of the broker.
pub(super) const PERSISTENT: u8 = 2;

/// The headers, if there are any.
pub(super) fn headers_of(properties: &BasicProperties) -> FieldTable {
    properties.headers().clone().unwrap_or_default()
}
