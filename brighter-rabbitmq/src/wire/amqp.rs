//! Texts and values in AMQP.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};

use brighter_core::message::{MAX_NAME_BYTES, NameError};

/// Converts a text to a short string. lapin's own conversion panics if the text is too long.
pub(crate) fn short(what: &'static str, text: &str) -> Result<ShortString, NameError> {
    ShortString::try_new(text).map_err(|_| NameError::TooLong {
        what,
        bytes: text.len(),
        begins: text.chars().take(24).collect(),
    })
}

/// Converts a name of brighter's own, which is always short.
pub(super) fn known(name: &'static str) -> ShortString {
    debug_assert!(name.len() <= MAX_NAME_BYTES);
    ShortString::try_new(name).unwrap_or_default()
}

/// Converts a text to a header value: always a long string, because .NET reads a short one as a number.
pub(super) fn text(text: impl Into<String>) -> AMQPValue {
    AMQPValue::LongString(LongString::from(text.into()))
}

/// The delivery mode of a message that survives a restart of the broker.
pub(super) const PERSISTENT: u8 = 2;

/// Returns the headers, or an empty table.
pub(super) fn headers_of(properties: &BasicProperties) -> FieldTable {
    properties.headers().clone().unwrap_or_default()
}
