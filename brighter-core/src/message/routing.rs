//! The names that route a message, each a type of its own so that none is taken for another.

use std::borrow::{Borrow, Cow};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::text::Text;

/// AMQP 0-9-1 (4.2.5.3) limits a routing key and a queue name to what a short string holds. The limit is
/// kept for every transport, so that a name that works on one works on all.
pub const MAX_NAME_BYTES: usize = 255;

/// Why a text cannot be a [`RoutingKey`], [`ChannelName`] or [`SubscriptionName`], or stand in a
/// [`MessageHeader`](super::MessageHeader).
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The text is empty.
    #[error("a {what} cannot be empty")]
    Empty {
        /// Which kind of name was wanted.
        what: &'static str,
    },
    /// The text is longer than [`MAX_NAME_BYTES`].
    #[error("a {what} has at most 255 bytes, this one has {bytes}: shorten it (it begins with `{begins}`)")]
    TooLong {
        /// Which kind of name was wanted.
        what: &'static str,
        /// How long the text is, in bytes.
        bytes: usize,
        /// The first characters of the text.
        begins: String,
    },
    /// The text holds a control character.
    #[error("a {what} cannot hold control characters: {name:?}")]
    Control {
        /// Which kind of name was wanted.
        what: &'static str,
        /// The text, to be printed escaped.
        name: String,
    },
    /// The content type is none that every consumer can read.
    #[error(
        "a content type is `type/subtype`, with `; name=value` behind it if need be, and {content_type:?} is not: {why}"
    )]
    ContentType {
        /// The beginning of the text.
        content_type: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

crate::__readable_debug!(NameError);

/// Whether a text can be a name.
pub(super) fn check(what: &'static str, name: &str) -> Result<(), NameError> {
    check_length(what, name)?;
    check_text(what, name)
}

/// Whether a text is short enough for a name.
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

/// Whether a text says something, and nothing that would spoil a log.
pub(super) fn check_text(what: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    // Almost every text is plain, which is seen at a glance: without a way out, many bytes are looked at together.
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
            /// A name that stands in the program: it takes no memory of its own.
            #[must_use]
            pub const fn from_static(text: &'static str) -> Self {
                Self(Text::Static(text))
            }

            /// The name as text.
            #[must_use]
            #[inline]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether a broker can take this name.
            ///
            /// Names are made without a check, so that making one never fails where it is written; every
            /// `build()` and every post calls this.
            ///
            /// # Errors
            /// The name is empty, has more than [`MAX_NAME_BYTES`] bytes, or holds a control character.
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
    /// The topic of a message, by which a broker finds the channels that want it.
    ///
    /// A publication has one that is plain; a subscription may have a pattern: words parted by dots, where
    /// `*` stands for one word and `#` for any number of them.
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
    /// The name of what a consumer reads: a queue.
    ChannelName, "channel name"
}

name! {
    /// The name of a subscription, by which a dispatcher starts and stops it.
    SubscriptionName, "subscription name"
}

impl RoutingKey {
    /// Whether this key, read as a pattern, takes in `topic`: the rule of a topic exchange
    /// (AMQP 0-9-1, 3.1.3.3).
    #[must_use]
    pub fn matches(&self, topic: &RoutingKey) -> bool {
        let pattern: Vec<&str> = self.0.split('.').collect();
        let words: Vec<&str> = topic.0.split('.').collect();
        matches_words(&pattern, &words)
    }
}

/// Greedy matching with one point to come back to, as for `*` in a shell: linear in memory, and at worst
/// the product of the lengths in time, whatever a stranger writes.
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
