//! [`Key`]: one setting of a section, and its allowed values.

use std::ops::{Bound, RangeBounds, RangeInclusive};
use std::time::Duration;

/// One setting of a [`Section`](crate::Section): its name, its allowed values, and its description.
///
/// The description appears in the list of all settings, which [`Config::reference`](crate::Config::reference) returns.
///
/// ```
/// use std::time::Duration;
///
/// use brighter_config::Key;
///
/// let key = Key::time("request_timeout", Duration::from_millis(1).., "how long a request may take")
///     .default("30s");
/// assert_eq!(key.name(), "request_timeout");
/// assert_eq!(key.default_text(), Some("30s"));
/// ```
#[derive(Debug, Clone)]
#[must_use = "give it to `Section::new`"]
pub struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) what: &'static str,
    pub(super) default: Option<&'static str>,
    /// Whether the default is a value of the configuration, and not only documented.
    pub(super) sets_default: bool,
    /// The types of table that have this key; empty if all have it.
    pub(super) only: &'static [&'static str],
    /// For the key of the table's type: the table names that imply a type.
    pub(super) names_of_types: Option<&'static [&'static str]>,
    pub(super) rules: Vec<KeyRule>,
    /// The names that other programs give the setting.
    pub(super) synonyms: &'static [&'static str],
}

/// The kind of value of a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Text,
    TableName,
    Secret,
    Flag,
    Count {
        least: u64,
        most: u64,
    },
    Share {
        least: f64,
        most: f64,
    },
    /// A duration, or this word.
    Time {
        least: Duration,
        most: Duration,
        or: Option<&'static str>,
    },
    OneOf(&'static [&'static str]),
    Texts,
    Times,
    Range {
        least: usize,
        most: usize,
    },
    Rate,
}

/// A rule between a key and the rest of its table.
#[derive(Debug, Clone, Copy)]
pub(super) enum KeyRule {
    Required {
        hint: &'static str,
    },
    Needs {
        other: &'static str,
        reason: &'static str,
    },
    Excludes {
        other: &'static str,
        /// The word that the other key must have; any value, if `None`.
        word: Option<&'static str>,
        reason: &'static str,
    },
}

impl Key {
    /// The longest duration, ten years: about the longest that a clock can add.
    pub const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

    fn new(name: &'static str, kind: Kind, what: &'static str) -> Self {
        Self {
            name,
            kind,
            what,
            default: None,
            sets_default: false,
            only: &[],
            names_of_types: None,
            rules: Vec::new(),
            synonyms: &[],
        }
    }

    /// Returns a key for any non-empty text. [`Table::text`](crate::Table::text) reads it, or
    /// [`Table::path`](crate::Table::path) if it names a file.
    pub fn text(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::Text, what)
    }

    /// Returns a key for a list of texts. [`Table::texts`](crate::Table::texts) reads it.
    pub fn texts(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::Texts, what)
    }

    /// Returns a key for secret text. The text may also come from a file, which `<name>_file` names.
    /// [`Table::secret`](crate::Table::secret) reads it.
    pub fn secret(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::Secret, what)
    }

    /// Returns a key for the name of a database table, in characters that every database accepts.
    /// [`Table::text`](crate::Table::text) reads it.
    pub fn table_name(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::TableName, what)
    }

    /// Returns a key for one of these words. [`Table::text`](crate::Table::text) reads it.
    pub fn one_of(name: &'static str, words: &'static [&'static str], what: &'static str) -> Self {
        Self::new(name, Kind::OneOf(words), what)
    }

    /// Returns a key for the type of its table, one of these words. [`Table::type_name`] reads it. Other keys may be
    /// limited to some types: see [`only_for`](Self::only_for).
    ///
    /// A table with one of the names in `names` has the type of that name, unless the key sets another.
    ///
    /// [`Table::type_name`]: crate::Table::type_name
    pub fn types(
        name: &'static str,
        words: &'static [&'static str],
        names: &'static [&'static str],
        what: &'static str,
    ) -> Self {
        let mut key = Self::one_of(name, words, what);
        key.names_of_types = Some(names);
        key
    }

    /// Returns a key for a boolean. [`Table::flag`](crate::Table::flag) reads it.
    pub fn flag(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::Flag, what)
    }

    /// Returns a key for an integer in this range, such as `1..=100` or `1..`. [`Table::count`](crate::Table::count)
    /// reads it.
    pub fn count(name: &'static str, range: impl RangeBounds<u64>, what: &'static str) -> Self {
        let least = match range.start_bound() {
            Bound::Included(least) => *least,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let most = match range.end_bound() {
            Bound::Included(most) => *most,
            Bound::Excluded(after) => after.saturating_sub(1),
            Bound::Unbounded => u64::MAX,
        };
        Self::new(name, Kind::Count { least, most }, what)
    }

    /// Returns a key for a fraction in this range, such as `0.5`. [`Table::share`](crate::Table::share) reads it.
    pub fn share(name: &'static str, range: RangeInclusive<f64>, what: &'static str) -> Self {
        let (least, most) = range.into_inner();
        Self::new(name, Kind::Share { least, most }, what)
    }

    /// Returns a key for a duration in this range, such as `Duration::from_secs(1)..`. A range without an end ends at
    /// [`LONGEST`](Self::LONGEST). [`Table::time`](crate::Table::time) reads it.
    pub fn time(name: &'static str, range: impl RangeBounds<Duration>, what: &'static str) -> Self {
        let (least, most) = times_in(range);
        let or = None;
        Self::new(name, Kind::Time { least, most, or }, what)
    }

    /// Returns a key for a duration in this range, or for a word that means none, such as `never`.
    /// [`Table::time_or_none`](crate::Table::time_or_none) reads it.
    pub fn time_or(
        name: &'static str,
        range: impl RangeBounds<Duration>,
        word: &'static str,
        what: &'static str,
    ) -> Self {
        let (least, most) = times_in(range);
        let or = Some(word);
        Self::new(name, Kind::Time { least, most, or }, what)
    }

    /// Returns a key for a list of durations. [`Table::times`](crate::Table::times) reads it.
    pub fn times(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::Times, what)
    }

    /// Returns a key for an integer, or for a range of integers such as `2 to 8`, within this range.
    /// [`Table::range`](crate::Table::range) reads it.
    pub fn range(name: &'static str, range: RangeInclusive<usize>, what: &'static str) -> Self {
        let (least, most) = range.into_inner();
        Self::new(name, Kind::Range { least, most }, what)
    }

    /// Returns a key for a number in a time, such as `50/s`. [`Table::rate`](crate::Table::rate) reads it.
    pub fn rate(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::Rate, what)
    }

    /// Sets the value of this key if no source sets one, written as in a variable: a list has commas.
    pub fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self.sets_default = true;
        self
    }

    /// Sets the default in the list of all settings, without setting a value. It is for a builder that has the default
    /// itself, so that a value from the program stays in effect.
    pub fn documented_default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self.sets_default = false;
        self
    }

    /// Names what other programs call this setting, such as `prefetch` for `buffer`. Nobody may write it so: the error
    /// about such a name, or one that is like it, says which key is meant.
    pub fn synonyms(mut self, names: &'static [&'static str]) -> Self {
        self.synonyms = names;
        self
    }

    /// Allows the key only in tables of these [types](Self::types).
    pub fn only_for(mut self, types: &'static [&'static str]) -> Self {
        self.only = types;
        self
    }

    /// Requires the key. `hint` tells in the error how to set it. In a [named](crate::Section::named) section every
    /// table must have the key, if it belongs to the type of the table.
    pub fn required(self, hint: &'static str) -> Self {
        self.rule(KeyRule::Required { hint })
    }

    /// Allows the key only together with another. In the error, `reason` follows the word "and".
    pub fn needs(self, other: &'static str, reason: &'static str) -> Self {
        self.rule(KeyRule::Needs { other, reason })
    }

    /// Refuses the key together with another. The error contains `reason`.
    pub fn excludes(self, other: &'static str, reason: &'static str) -> Self {
        let word = None;
        self.rule(KeyRule::Excludes { other, word, reason })
    }

    /// Refuses the key if another has this word. The error contains `reason`.
    pub fn excludes_word(self, other: &'static str, word: &'static str, reason: &'static str) -> Self {
        let word = Some(word);
        self.rule(KeyRule::Excludes { other, word, reason })
    }

    fn rule(mut self, rule: KeyRule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the default as text, whether it is set or only documented.
    #[must_use]
    pub fn default_text(&self) -> Option<&'static str> {
        self.default
    }

    /// Returns the types of table to which this key is limited; empty if all have it.
    #[must_use]
    pub fn types_with_it(&self) -> &'static [&'static str] {
        self.only
    }

    /// Its name and its synonyms, each with its name.
    pub(super) fn spellings(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        let (name, synonyms) = (self.name, self.synonyms);
        std::iter::once(name)
            .chain(synonyms.iter().copied())
            .map(move |spelling| (spelling, name))
    }

    pub(super) fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }

    /// Returns whether a table of this type may have the key.
    pub(super) fn is_of(&self, type_name: Option<&str>) -> bool {
        self.only.is_empty() || type_name.is_none_or(|name| self.only.contains(&name))
    }
}

/// Returns the shortest and the longest duration of a range. Durations in a configuration are whole milliseconds.
fn times_in(range: impl RangeBounds<Duration>) -> (Duration, Duration) {
    const STEP: Duration = Duration::from_millis(1);
    let least = match range.start_bound() {
        Bound::Included(least) => *least,
        Bound::Excluded(before) => before.saturating_add(STEP),
        Bound::Unbounded => Duration::ZERO,
    };
    let most = match range.end_bound() {
        Bound::Included(most) => *most,
        Bound::Excluded(after) => after.saturating_sub(STEP),
        Bound::Unbounded => Key::LONGEST,
    };
    (least, most)
}

impl Kind {
    /// Returns the allowed values, for the error about another value.
    pub(super) fn expected(&self) -> String {
        match self {
            Self::Text | Self::TableName => "text".to_owned(),
            Self::Secret => "text".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Count { .. } => "a whole number".to_owned(),
            Self::Share { .. } => "a number".to_owned(),
            Self::Time { or: None, .. } => "a time such as `500ms`, `5s` or `1m30s`".to_owned(),
            Self::Time { or: Some(word), .. } => {
                format!("a time such as `500ms`, `5s` or `1m30s`, or `{word}`")
            }
            Self::OneOf(words) => format!("one of {}", listed(words)),
            Self::Texts => "a list of texts".to_owned(),
            Self::Times => "a list of times such as `500ms`, `5s` or `1m30s`".to_owned(),
            Self::Range { .. } => "a whole number, or a range such as `2 to 8`".to_owned(),
            Self::Rate => "a number within a time, such as `50/s` or `600 within 1m`".to_owned(),
        }
    }
}

fn listed(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}
