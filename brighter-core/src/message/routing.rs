//! The names that route a message, each a type of its own so that they cannot be confused.

use std::borrow::{Borrow, Cow};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::text::Text;

/// The longest name, in bytes. AMQP 0-9-1 (4.2.5.3) limits a routing key and a queue name to a short string. The limit
/// applies to every transport, so that a name that is valid on one is valid on all.
pub const MAX_NAME_BYTES: usize = 255;

/// Why a text is not a valid [`RoutingKey`], [`ChannelName`] or [`SubscriptionName`], or not valid in a
/// [`MessageHeader`](super::MessageHeader).
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The text is empty.
    #[error("a {what} cannot be empty")]
    Empty {
        /// The kind of name.
        what: &'static str,
    },
    /// The text is longer than [`MAX_NAME_BYTES`].
    #[error("a {what} has at most 255 bytes, this one has {bytes}: shorten it (it begins with `{begins}`)")]
    TooLong {
        /// The kind of name.
        what: &'static str,
        /// The length of the text, in bytes.
        bytes: usize,
        /// The first characters of the text.
        begins: String,
    },
    /// The text contains a control character.
    #[error("a {what} cannot hold control characters: {name:?}")]
    Control {
        /// The kind of name.
        what: &'static str,
        /// The text, printed escaped.
        name: String,
    },
    /// The content type is none that every consumer can read.
    #[error(
        "a content type is `type/subtype`, with `; name=value` behind it if need be, and {content_type:?} is not: {why}"
    )]
    ContentType {
        /// The beginning of the text.
        content_type: String,
        /// The reason why it is invalid.
        why: &'static str,
    },
}

crate::__readable_debug!(NameError);

/// Checks that a text can be a name.
pub(super) fn check(what: &'static str, name: &str) -> Result<(), NameError> {
    check_length(what, name)?;
    check_text(what, name)
}

/// Checks that a text is short enough for a name.
pub(super) fn check_length(what: &'static str, name: &str) -> Result<(), NameError> {
    if name.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong {
            what,
            bytes: name.len(),
            begins: name.chars().take(24).collect(),
        });
    }
    Ok(())
}

/// Checks that a text is not empty, and has no control character that would corrupt a log.
pub(super) fn check_text(what: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    // Almost every text is plain. This check has no early exit, so that many bytes are checked at once.
    let is_plain = text
        .bytes()
        .fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~'));
    if !is_plain && text.chars().any(char::is_control) {
        return Err(NameError::Control {
            what,
            name: text.chars().take(48).collect(),
        });
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Text);

        impl $name {
            /// Returns a name from a text in the program, without an allocation.
            #[must_use]
            pub const fn from_static(text: &'static str) -> Self {
                Self(Text::Static(text))
            }

            /// Returns the name as text.
            #[must_use]
            #[inline]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Checks that a broker can take this name.
            ///
            /// Names are made without a check, so that making one never fails. Every `build()` and every post calls
            /// this.
            ///
            /// # Errors
            /// Returns an error if the name is empty, has more than [`MAX_NAME_BYTES`] bytes, or contains a control
            /// character.
            pub fn validate(&self) -> Result<(), NameError> {
                check($what, &self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl From<Cow<'_, str>> for $name {
            fn from(text: Cow<'_, str>) -> Self {
                Self(text.into())
            }
        }

        impl From<&$name> for $name {
            fn from(name: &$name) -> Self {
                name.clone()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

name! {
    /// The topic of a message, by which a broker selects channels.
    ///
    /// The topic of a publication is plain. A subscription may have a pattern: words separated by dots, where `*`
    /// stands for one word and `#` for any number of words.
    ///
    /// ```
    /// use brighter::message::RoutingKey;
    ///
    /// let topic = RoutingKey::from("Task.Reminder");
    /// assert!(RoutingKey::from("Task.*").matches(&topic));
    /// assert!(RoutingKey::from("#").matches(&topic));
    /// assert!(!RoutingKey::from("Task.*").matches(&RoutingKey::from("Task")));
    /// ```
    RoutingKey, "routing key"
}

name! {
    /// The name of a channel: a queue that a consumer reads.
    ChannelName, "channel name"
}

name! {
    /// The name of a subscription, by which a dispatcher starts and stops it.
    SubscriptionName, "subscription name"
}

impl RoutingKey {
    /// Returns whether this key, read as a pattern, matches `topic`, by the rule of a topic exchange (AMQP 0-9-1,
    /// 3.1.3.3).
    #[must_use]
    pub fn matches(&self, topic: &RoutingKey) -> bool {
        let pattern: Vec<&str> = self.0.split('.').collect();
        let words: Vec<&str> = topic.0.split('.').collect();
        matches_words(&pattern, &words)
    }
}

/// Matches greedily with one position to backtrack to, as a shell matches `*`. The memory is linear, and the time is at
/// worst the product of the lengths, for any input.
fn matches_words(pattern: &[&str], words: &[&str]) -> bool {
    let (mut p, mut w) = (0, 0);
    let mut resume: Option<(usize, usize)> = None;
    while w < words.len() {
        match pattern.get(p) {
            Some(&"#") => {
                resume = Some((p, w));
                p += 1;
            }
            Some(&word) if word == "*" || word == words[w] => {
                p += 1;
                w += 1;
            }
            _ => match &mut resume {
                Some((hash, taken)) => {
                    *taken += 1;
                    (p, w) = (*hash + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&word| word == "#")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_on_a_topic_exchange() {
        for (pattern, topic, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.c", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("a.#", "a", true),
            ("a.#", "a.b.c", true),
            ("#.c", "a.b.c", true),
            ("#.b.#", "a.b.c", true),
            ("#.b.#", "b", true),
            ("#.x.#", "a.b.c", false),
            ("*.*.c", "a.b.c", true),
            ("#.a.#.c", "a.b.a.c.c", true),
            ("#.#", "a", true),
        ] {
            let found = RoutingKey::from(pattern).matches(&RoutingKey::from(topic));
            assert_eq!(found, expected, "{pattern} against {topic}");
        }
    }

    #[test]
    fn names_are_checked() {
        assert!(RoutingKey::from("Task.Reminder").validate().is_ok());
        assert!(RoutingKey::from("é".repeat(127)).validate().is_ok());
        assert_eq!(
            ChannelName::from("").validate(),
            Err(NameError::Empty { what: "channel name" })
        );
        assert!(matches!(
            RoutingKey::from("é".repeat(128)).validate(),
            Err(NameError::TooLong { bytes: 256, .. })
        ));
        assert!(matches!(
            SubscriptionName::from("a\nb").validate(),
            Err(NameError::Control { .. })
        ));
    }
}
