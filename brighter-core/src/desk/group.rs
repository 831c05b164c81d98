//! [`DeadGroup`]: messages that died alike.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::channel::RejectionKind;
use crate::cut::cut;

/// The longest pattern that is kept, in bytes.
const LONGEST: usize = 512;

/// Identifies a group of messages that died alike. Its text is 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupKey(u64);

impl GroupKey {
    /// Returns the key of the number that a store has kept.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number, for a store to keep.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// Returns the key of what the messages of one group have in common.
    #[must_use]
    pub(super) fn of(parts: [&str; 5]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let hash: [u8; 32] = hash.finalize().into();
        Self(
            hash.iter()
                .take(8)
                .fold(0, |number, byte| number << 8 | u64::from(*byte)),
        )
    }
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for GroupKey {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

/// Messages that died alike: of one channel and handler, with one type of error, and with an error text that differs in
/// numbers and ids alone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadGroup {
    /// The key of the group.
    pub key: GroupKey,
    /// The channel that rejected the messages; empty if it is unknown.
    pub channel: String,
    /// Whether the messages were dead letters or invalid.
    pub kind: RejectionKind,
    /// The handler that failed, if the rejection tells.
    pub handler: Option<String>,
    /// The type of the error, if the rejection tells.
    pub error_type: Option<String>,
    /// The text of the error without its numbers and ids.
    pub pattern: String,
    /// The number of messages that wait for a decision.
    pub waiting: u64,
    /// The number of deaths that were ever counted.
    pub deaths: u64,
    /// The time of the first death.
    pub first: SystemTime,
    /// The time of the last death.
    pub last: SystemTime,
    /// The deaths of each of the last 24 hours, the current hour last.
    pub hours: [u64; 24],
}

impl DeadGroup {
    /// Returns a group without messages.
    #[must_use]
    pub fn new(key: GroupKey, kind: RejectionKind, first: SystemTime, last: SystemTime) -> Self {
        Self {
            key,
            channel: String::new(),
            kind,
            handler: None,
            error_type: None,
            pattern: String::new(),
            waiting: 0,
            deaths: 0,
            first,
            last,
            hours: [0; 24],
        }
    }
}

/// Returns the text of an error without what differs from message to message: each word with a digit in it becomes `#`.
///
/// ```
/// use brighter_core::desk::error_pattern;
///
/// let pattern = error_pattern("order 4711 of ab12-77: no answer within 30.5s from 10.0.0.1:5432");
/// assert_eq!(pattern, "order # of #: no answer within # from #");
/// ```
#[must_use]
pub fn error_pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len().min(LONGEST));
    let mut rest = text;
    while !rest.is_empty() && pattern.len() < LONGEST {
        let word = rest.len() - rest.trim_start_matches(is_of_word).len();
        let (word, after) = rest.split_at(word);
        // Full stops and colons are part of a number only between two of its parts.
        let kept = word.trim_end_matches(is_joint);
        if kept.contains(|c: char| c.is_ascii_digit()) || is_hex(kept) {
            pattern.push('#');
            pattern.push_str(&word[kept.len()..]);
        } else {
            pattern.push_str(word);
        }
        let other = after.len() - after.trim_start_matches(|c| !is_of_word(c)).len();
        let (other, after) = after.split_at(other);
        pattern.push_str(other);
        rest = after;
    }
    cut(&pattern, LONGEST).to_owned()
}

fn is_joint(c: char) -> bool {
    matches!(c, '.' | ':' | ',')
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_') || is_joint(c)
}

fn is_hex(word: &str) -> bool {
    word.len() >= 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::{GroupKey, LONGEST, error_pattern};

    #[test]
    fn errors_that_differ_in_numbers_and_ids_have_one_pattern() {
        for (one, other) in [
            ("timeout after 30s", "timeout after 5.5s"),
            (
                "no row 0197f2a0-7c3e-7d5a-9b7e-1f2a3b4c5d6e",
                "no row 0197f2a0-7c3e-7d5a-9b7e-1f2a3b4c5d70",
            ),
            ("attempt 3 of 3: 404", "attempt 5 of 5: 503"),
            ("at 10.0.0.1:80, twice", "at 10.0.0.2:81, twice"),
            ("token deadbeefdeadbeef is old", "token abcdefabcdefabcd is old"),
        ] {
            assert_eq!(error_pattern(one), error_pattern(other));
        }
        assert_ne!(error_pattern("no such user"), error_pattern("no such order"));
        assert_eq!(error_pattern(""), "");
        assert_eq!(error_pattern("ünï: 漢字"), "ünï: 漢字");
    }

    #[test]
    fn a_pattern_has_a_longest_length() {
        for long in ["x".repeat(9_000), "é ".repeat(9_000), "1 ".repeat(9_000)] {
            assert!(error_pattern(&long).len() <= LONGEST);
        }
    }

    #[test]
    fn a_group_is_known_by_its_text() {
        let key = GroupKey::of(["a", "", "b", "c", "d"]);
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_ne!(key, GroupKey::of(["a", "b", "", "c", "d"]));
    }
}
