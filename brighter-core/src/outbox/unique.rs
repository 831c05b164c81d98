//! [`UniqueKey`]: what a post holds for a time, so that no other post with the same key is stored.

use std::fmt;
use std::time::Duration;

use crate::clock::NEVER;
use crate::id::MessageId;
use crate::message::RoutingKey;

/// The key that a post holds in the outbox for a time. While it is held, another message with the same key is not stored.
///
/// A key belongs to one topic and one type of requests: the same text for another request is another key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UniqueKey {
    text: String,
    window: Duration,
}

/// An invalid [`UniqueKey`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidUniqueKey {
    /// The key is longer than an outbox can store.
    #[error(
        "the unique key has {bytes} bytes with its topic and type, and may have {}: use a shorter key, or a hash of it",
        UniqueKey::MAX_BYTES
    )]
    TooLong {
        /// The length in bytes.
        bytes: usize,
    },
    /// The window is zero, or longer than an outbox can count.
    #[error(
        "a unique key cannot be held for {window:?}: give it more than zero, and a hundred years at most"
    )]
    Window {
        /// The window.
        window: Duration,
    },
}

impl UniqueKey {
    /// The greatest length of a key in bytes, with its topic and type: what an index of MySQL takes.
    pub const MAX_BYTES: usize = 1_500;

    /// Returns a key for messages of this topic and type of requests, which is held for the time `window`.
    ///
    /// # Errors
    /// Returns an error if the key is too long, or cannot be held so long.
    pub fn new(
        topic: &RoutingKey,
        event_type: &str,
        key: &str,
        window: Duration,
    ) -> Result<Self, InvalidUniqueKey> {
        if window.is_zero() || window > NEVER {
            return Err(InvalidUniqueKey::Window { window });
        }
        // As JSON, for nothing else tells where one part ends and the next begins, whatever they contain.
        let text = serde_json::Value::from(vec![topic.as_str(), event_type, key]).to_string();
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidUniqueKey::TooLong { bytes: text.len() });
        }
        Ok(Self { text, window })
    }

    /// Returns the key as text, for an outbox to store. No other topic, type and key have the same text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns how long the key is held.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.window
    }
}

impl fmt::Debug for UniqueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UniqueKey")
            .field("key", &self.text)
            .field("window", &self.window)
            .finish()
    }
}

/// The answer of an outbox to a message that has a [`UniqueKey`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UniqueDeposit {
    /// The message is in the outbox, and holds the key.
    Stored {
        /// Whether the outbox did not have the message before.
        is_new: bool,
    },
    /// Another message holds the key. Nothing was stored.
    Held {
        /// The id of that message.
        by: MessageId,
        /// How long it holds the key from now on.
        left: Duration,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn key(topic: &str, event_type: &str, key: &str) -> UniqueKey {
        UniqueKey::new(&RoutingKey::from(topic), event_type, key, MINUTE).unwrap()
    }

    #[test]
    fn no_other_parts_have_the_same_text() {
        let keys = [
            key("a", "b", "c"),
            key("a", "b\",\"c", ""),
            key("a\",\"b", "c", ""),
            key("a", "", "b\0c"),
            key("a", "b", "\u{1}"),
        ];
        for (index, one) in keys.iter().enumerate() {
            assert!(!one.as_str().contains('\0'));
            assert!(
                keys[index + 1..]
                    .iter()
                    .all(|other| other.as_str() != one.as_str())
            );
        }
    }

    #[test]
    fn a_key_that_no_outbox_can_hold_is_refused() {
        let made = |key: &str, window| UniqueKey::new(&RoutingKey::from("t"), "t", key, window);
        let window = Duration::ZERO;
        assert_eq!(made("k", window), Err(InvalidUniqueKey::Window { window }));
        let window = Duration::MAX;
        assert_eq!(made("k", window), Err(InvalidUniqueKey::Window { window }));
        let long = "x".repeat(UniqueKey::MAX_BYTES);
        let bytes = long.len() + r#"["t","t",""]"#.len();
        assert_eq!(made(&long, MINUTE), Err(InvalidUniqueKey::TooLong { bytes }));
        assert!(made(&long[..UniqueKey::MAX_BYTES - 12], MINUTE).is_ok());
    }
}
