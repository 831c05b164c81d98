//! What has to be known of a text of JSON, and of how serde_json reads it, wherever one is read.

use std::sync::OnceLock;

use serde::Deserialize;

/// How many levels of objects and arrays are written. serde_json reads as many.
pub(crate) const MAX_LEVELS: usize = 127;

/// .NET's `Encoding.UTF8` and others put it before a text.
pub(crate) const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Returns the text behind a byte order mark, if there is one.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes)
}

/// Whether somebody has switched on serde_json's feature `arbitrary_precision`, for all that is built beside it.
///
/// Then the fractions in a text are maps with a text to serde, and what has to look at a value before it knows its type
/// finds no number: enums that are untagged, or tagged within, and flattened fields. Out of a
/// [`Value`](serde_json::Value) they are numbers, where that loses nothing.
pub(crate) fn numbers_come_as_text() -> bool {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Probe {
        Number(#[allow(dead_code, reason = "what counts is whether there is one")] f64),
    }
    static AS_TEXT: OnceLock<bool> = OnceLock::new();
    *AS_TEXT.get_or_init(|| serde_json::from_str::<Probe>("0.5").is_err())
}
