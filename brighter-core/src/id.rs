//! [`MessageId`]: the identity of a message.

use std::convert::Infallible;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The identity of a request and of the message that carries it.
///
/// A new id is a UUID of version 7 ([RFC 9562]), so ids sort by the time they were made. An id from another system is
/// kept exactly as it was received, in any form. Two ids are equal if their texts are equal.
///
/// ```
/// use brighter::MessageId;
///
/// let id = MessageId::new();
/// assert_eq!(id, id.to_string().parse().unwrap());
/// assert_eq!(MessageId::from("order-17").to_string(), "order-17");
/// ```
///
/// [RFC 9562]: https://www.rfc-editor.org/rfc/rfc9562
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(Repr);

/// A UUID in its canonical text needs no allocation. Almost every id is one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Repr {
    Uuid(Uuid),
    Text(Arc<str>),
}

impl Hash for Repr {
    /// Hashes the text in one piece. A text has only one of the two forms, so the form need not be hashed.
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Uuid(uuid) => state.write_u128(uuid.as_u128()),
            Self::Text(text) => text.hash(state),
        }
    }
}

impl MessageId {
    /// Returns a new id, different from every other.
    #[must_use]
    #[allow(clippy::new_without_default)] // A default would hide that every call gives another id.
    pub fn new() -> Self {
        Self(Repr::Uuid(Uuid::now_v7()))
    }

    /// Returns the text, unless it is a UUID in canonical form, which needs no validation.
    #[doc(hidden)]
    #[inline]
    pub fn unusual(&self) -> Option<&str> {
        match &self.0 {
            Repr::Uuid(_) => None,
            Repr::Text(text) => Some(text),
        }
    }

    /// Returns the id as a UUID, if its text is one.
    #[must_use]
    pub fn as_uuid(&self) -> Option<Uuid> {
        match &self.0 {
            Repr::Uuid(uuid) => Some(*uuid),
            Repr::Text(text) => Uuid::parse_str(text).ok(),
        }
    }
}

impl From<&str> for MessageId {
    fn from(text: &str) -> Self {
        let mut buffer = Uuid::encode_buffer();
        match Uuid::try_parse(text) {
            // Only the canonical text comes back unchanged; any other spelling is kept as it is.
            Ok(uuid) if uuid.hyphenated().encode_lower(&mut buffer) == text => Self(Repr::Uuid(uuid)),
            _ => Self(Repr::Text(text.into())),
        }
    }
}

impl From<String> for MessageId {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Uuid> for MessageId {
    fn from(uuid: Uuid) -> Self {
        Self(Repr::Uuid(uuid))
    }
}

impl FromStr for MessageId {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::from(text))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Uuid(uuid) => fmt::Display::fmt(uuid, f),
            Repr::Text(text) => f.pad(text),
        }
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for MessageId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = MessageId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a message id, as a string")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<MessageId, E> {
                Ok(MessageId::from(text))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back_as_it_was() {
        for text in [
            "",
            "order-17",
            "0197f2a0-7c3e-7d5a-9b7e-1f2a3b4c5d6e",
            "0197F2A0-7C3E-7D5A-9B7E-1F2A3B4C5D6E",
            "0197f2a07c3e7d5a9b7e1f2a3b4c5d6e",
            "{0197f2a0-7c3e-7d5a-9b7e-1f2a3b4c5d6e}",
            "ünï",
        ] {
            let id = MessageId::from(text);
            assert_eq!(id.to_string(), text);
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!(serde_json::from_str::<MessageId>(&json).unwrap(), id);
        }
    }

    #[test]
    fn new_ids_sort_by_time() {
        let ids: Vec<_> = (0..100).map(|_| MessageId::new()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
