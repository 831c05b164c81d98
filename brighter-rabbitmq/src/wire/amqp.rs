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

/// Returns whether a text is a media type, as strictly as .NET parses it: a type, a subtype, and optional parameters.
pub(super) fn is_mime(text: &str) -> bool {
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

/// The delivery mode of a message that survives a restart of the broker.
pub(super) const PERSISTENT: u8 = 2;

/// Returns the headers, or an empty table.
pub(super) fn headers_of(properties: &BasicProperties) -> FieldTable {
    properties.headers().clone().unwrap_or_default()
}
