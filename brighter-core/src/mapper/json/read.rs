//! A body of JSON, read with what is common on the wire, whatever features serde_json is built with.

use serde::Deserialize;
use serde_json::Value;

use super::{JsonError, MapError};
use crate::json_text::{numbers_come_as_text, without_mark};

/// Reads a value.
///
/// # Errors
/// The bytes are no JSON in UTF-8, or not of this value.
pub(crate) fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, MapError> {
    let json = without_mark(bytes);
    serde_json::from_slice(json).or_else(|error| {
        if error.is_data() && numbers_come_as_text() {
            let value: Result<Value, _> = serde_json::from_slice(json);
            if let Some(read) = value.ok().and_then(|value| T::deserialize(value).ok()) {
                return Ok(read);
            }
        }
        Err(if is_wide(json) {
            MapError::new(JsonError::NotUtf8)
        } else {
            MapError::new(error)
        })
    })
}

/// Whether this begins like a text in UTF-16 or UTF-32: by its mark, or because one of its first two bytes is zero.
fn is_wide(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json_text::BYTE_ORDER_MARK;

    #[test]
    fn a_byte_order_mark_is_passed_over_once() {
        let marked = |marks: usize| ["\u{feff}".repeat(marks).as_bytes(), b" {\"a\":1}\r\n"].concat();
        for marks in [0, 1] {
            let read: Value = read(&marked(marks)).unwrap();
            assert_eq!(read, serde_json::json!({ "a": 1 }));
        }
        read::<Value>(&marked(2)).unwrap_err();
        read::<Value>(BYTE_ORDER_MARK).unwrap_err();
    }

    #[test]
    fn a_body_in_another_encoding_is_told_by_its_name() {
        let little = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let big = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
        let widest = |text: &str| text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
        for text in ["{\"a\":1}", "\u{feff}{\"a\":1}", "\u{feff}7"] {
            for bytes in [little(text), big(text), widest(text)] {
                let error = read::<Value>(&bytes).unwrap_err();
                let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
                assert_eq!(source, Some(&JsonError::NotUtf8), "{bytes:?}");
            }
        }
        for (bytes, said) in [(&b"{"[..], "EOF"), (b"", "EOF"), (b"{\"a\":\"\xff\"}", "unicode")] {
            let error = read::<Value>(bytes).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
