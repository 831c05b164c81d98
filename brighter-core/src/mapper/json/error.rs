//! [`JsonError`]: what cannot travel as JSON.

/// Why a request cannot be written as JSON, or a body not be read as such, beyond what serde says: the source of a
/// [`MapError`](super::MapError).
///
/// ```
/// use brighter::mapper::{JsonError, JsonMapper, MessageMapper};
/// use brighter::message::{MessageHeader, MessageType};
/// use brighter::MessageId;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Price { amount: f64 }
///
/// let header = MessageHeader::new(MessageId::new(), "Price.Set", MessageType::Event);
/// let error = JsonMapper.to_message(&Price { amount: f64::NAN }, header).unwrap_err();
/// let source = std::error::Error::source(&error).unwrap();
/// assert!(matches!(source.downcast_ref(), Some(JsonError::NotFinite { field, .. }) if field == "amount"));
/// ```
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// A number is NaN or infinite. serde_json would write a null for it.
    #[error("JSON has no number {number}{}: send a finite one, or `None` of an `Option`", named(.field))]
    NotFinite {
        /// The names of the fields that lead to it, with dots between them; empty if the request is the number.
        field: String,
        /// The number.
        number: f64,
    },
    /// The request is nested deeper than consumers read.
    #[error(
        "the request is nested more than {limit} levels deep, which no consumer reads: send it in a flatter form, or in parts"
    )]
    TooDeep {
        /// How many levels of objects and arrays there may be.
        limit: usize,
    },
    /// The body is in another encoding than UTF-8.
    #[error("the body is in UTF-16 or UTF-32: send JSON in UTF-8")]
    NotUtf8,
}

crate::__readable_debug!(JsonError);

fn named(field: &str) -> String {
    if field.is_empty() {
        return String::new();
    }
    format!(", which is in `{field}`")
}
