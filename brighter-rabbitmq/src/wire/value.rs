//! Reads the values of headers by their meaning, in any encoding.

use std::time::Duration;

use lapin::types::AMQPValue;

use super::amqp;
use super::name::KnownHeader;
use brighter_core::message::BagValue;

/// Returns the text of a header, if the header is a text and not empty; `None` for any other kind of value.
///
/// # Errors
/// Returns an error if the text is not UTF-8, or contains control characters, which could mislead a program that logs
/// or forwards it.
pub(super) fn text(header: KnownHeader, value: Option<&AMQPValue>) -> Result<Option<&str>, String> {
    let name = header.as_str();
    let text = match value {
        Some(AMQPValue::LongString(bytes)) => utf8(name, bytes.as_bytes())?,
        Some(AMQPValue::ShortString(text)) => text.as_str(),
        _ => return Ok(None),
    };
    plain(name, text)
}

/// Returns the text, unless it is empty.
///
/// # Errors
/// Returns an error if the text contains control characters.
pub(super) fn plain<'a>(name: &str, text: &'a str) -> Result<Option<&'a str>, String> {
    if text.chars().any(char::is_control) {
        let begins: String = text.chars().take(48).collect();
        return Err(format!("`{name}` holds control characters: {begins:?}"));
    }
    Ok((!text.is_empty()).then_some(text))
}

pub(super) fn utf8<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str, String> {
    std::str::from_utf8(bytes).map_err(|_| format!("the header {name:?} is not UTF-8"))
}

/// Returns the text of a header that decides nothing; an empty text for any other kind of value.
pub(super) fn lenient(value: Option<&AMQPValue>) -> &str {
    let text = match value {
        Some(AMQPValue::LongString(bytes)) => std::str::from_utf8(bytes.as_bytes()).ok(),
        Some(AMQPValue::ShortString(text)) => Some(text.as_str()),
        _ => None,
    };
    text.unwrap_or_default()
}

/// Returns any kind of integer.
pub(super) fn integer(value: &AMQPValue) -> Option<i64> {
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

/// Returns a number of any kind that the sender chose, also a number written as text.
fn number(value: &AMQPValue) -> Option<i64> {
    integer(value).or_else(|| match value {
        // A cast of a float saturates, and makes zero of NaN.
        AMQPValue::Float(number) => Some(*number as i64),
        AMQPValue::Double(number) => Some(*number as i64),
        text => lenient(Some(text)).trim().parse().ok(),
    })
}

/// Returns the handled count; an invalid value counts as zero.
pub(super) fn count(value: Option<&AMQPValue>) -> u32 {
    let count = value.and_then(number).unwrap_or(0).max(0);
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Returns the delay in milliseconds. The delaying exchange makes the number negative after the delay.
pub(super) fn delay(value: Option<&AMQPValue>) -> Duration {
    Duration::from_millis(value.and_then(number).unwrap_or(0).unsigned_abs())
}

/// Returns the value for the bag, which holds no lists, tables, bytes or times. .NET writes bytes as a text that is not
/// UTF-8.
pub(super) fn of_bag(value: &AMQPValue) -> Option<BagValue> {
    Some(match value {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok()?.into(),
        AMQPValue::ShortString(text) => text.as_str().into(),
        AMQPValue::Boolean(value) => (*value).into(),
        AMQPValue::Float(number) => f64::from(*number).into(),
        AMQPValue::Double(number) => (*number).into(),
        other => return integer(other).map(BagValue::Int),
    })
}

/// Returns whether a value has more nested levels of tables or lists than this. It looks no deeper.
pub(super) fn is_nested_deeper(value: &AMQPValue, levels: usize) -> bool {
    fn any_deeper<'a>(mut values: impl Iterator<Item = &'a AMQPValue>, levels: usize) -> bool {
        let Some(inner) = levels.checked_sub(1) else {
            return true;
        };
        values.any(|value| is_nested_deeper(value, inner))
    }
    match value {
        AMQPValue::FieldArray(list) => any_deeper(list.as_slice().iter(), levels),
        AMQPValue::FieldTable(table) => any_deeper(table.inner().values(), levels),
        _ => false,
    }
}

/// Converts a value for writing. A text is always a long string, because .NET reads a short one as a number.
pub(super) fn to_amqp(value: &BagValue) -> AMQPValue {
    match value {
        BagValue::Bool(value) => AMQPValue::Boolean(*value),
        BagValue::Int(value) => AMQPValue::LongLongInt(*value),
        BagValue::Float(value) => AMQPValue::Double(*value),
        BagValue::Text(value) => amqp::text(value.as_str()),
    }
}
