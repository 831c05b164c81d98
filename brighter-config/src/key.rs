//! [`Key`]: one setting of a section, and what it may be.

use std::ops::{Bound, RangeBounds, RangeInclusive};
use std::time::Duration;

/// One setting of a [`Section`](crate::Section): its name, what it may be, and what it is for.
///
/// The description stands in the list of all settings, as [`Config::reference`](crate::Config::reference) writes it.
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
    /// Whether the default is a value of the configuration, and not only known to the builder that reads it.
    pub(super) sets_default: bool,
    /// The types of table that have this key; every type, if there are none here.
    pub(super) only: &'static [&'static str],
    /// For the key that says the type of a table: the names that say it too.
    pub(super) names_of_types: Option<&'static [&'static str]>,
    pub(super) rules: Vec<Rule>,
    /// What others call it.
    pub(super) synonyms: &'static [&'static str],
}

/// What a key may be.
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
    /// A time, or this word.
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

/// What must hold between a key and the rest of its table.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    Required {
        hint: &'static str,
    },
    Needs {
        other: &'static str,
        reason: &'static str,
    },
    Excludes {
        other: &'static str,
        /// The word that the other must be; any value, if there is none.
        word: Option<&'static str>,
        reason: &'static str,
    },
}

impl Key {
    /// Is ten years: about the longest time that a clock can still add.
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

    /// Makes a key of any text that is not empty. [`Table::text`](crate::Table::text) reads it, and
    /// [`Table::path`](crate::Table::path) if it names a file.
    pub fn text(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::Text, what)
    }

    /// Makes a key of a list of texts. [`Table::texts`](crate::Table::texts) reads it.
    pub fn texts(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::Texts, what)
    }

    /// Makes a key of text that must not be seen. It may also come from a file, which `<name>_file` names.
    /// [`Table::secret`](crate::Table::secret) reads it.
    pub fn secret(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::Secret, what)
    }

    /// Makes a key of the name of a database table, in letters that every database takes.
    /// [`Table::text`](crate::Table::text) reads it.
    pub fn table_name(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::TableName, what)
    }

    /// Makes a key that is one of these words. [`Table::text`](crate::Table::text) reads it.
    pub fn one_of(name: &'static str, words: &'static [&'static str], what: &'static str) -> Self {
        Self::new(name, Kind::OneOf(words), what)
    }

    /// Makes the key that says of which type a table is, one of these words. [`Table::type_name`] reads it. Other keys
    /// may belong to some types only: see [`only_for`](Self::only_for).
    ///
    /// A table that is called like one of `names` is of the type of that name, unless it says another.
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

    /// Makes a key that is true or false. [`Table::flag`](crate::Table::flag) reads it.
    pub fn flag(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::Flag, what)
    }

    /// Makes a key of a whole number in this range, such as `1..=100` or `1..`. [`Table::count`](crate::Table::count)
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

    /// Makes a key of a number with a fraction in this range, such as `0.5`. [`Table::share`](crate::Table::share)
    /// reads it.
    pub fn share(name: &'static str, range: RangeInclusive<f64>, what: &'static str) -> Self {
        let (least, most) = range.into_inner();
        Self::new(name, Kind::Share { least, most }, what)
    }

    /// Makes a key of a time in this range, such as `Duration::from_secs(1)..`. A range without an end ends at
    /// [`LONGEST`](Self::LONGEST). [`Table::time`](crate::Table::time) reads it.
    pub fn time(name: &'static str, range: impl RangeBounds<Duration>, what: &'static str) -> Self {
        let (least, most) = times_in(range);
        let or = None;
        Self::new(name, Kind::Time { least, most, or }, what)
    }

    /// Makes a key of a time in this range, or of a word that stands for no time, such as `never`.
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

    /// Makes a key of a list of times. [`Table::times`](crate::Table::times) reads it.
    pub fn times(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::Times, what)
    }

    /// Makes a key of a whole number, or of a range of them such as `2 to 8`, within this range.
    /// [`Table::range`](crate::Table::range) reads it.
    pub fn range(name: &'static str, range: RangeInclusive<usize>, what: &'static str) -> Self {
        let (least, most) = range.into_inner();
        Self::new(name, Kind::Range { least, most }, what)
    }

    /// Makes a key of a number within a time, such as `50/s`. [`Table::rate`](crate::Table::rate) reads it.
    pub fn rate(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::Rate, what)
    }

    /// Sets the value of this key where nothing else says one, written as in a variable: a list has commas.
    pub fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self.sets_default = true;
        self
    }

    /// Shows this default in the list of all settings, but sets no value. It is for a builder that has the default
    /// itself, so that what the program tells the builder still holds.
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

    /// Requires the key. `hint` says in the error how to write it. In a [named](crate::Section::named) section every
    /// table must have it, if the table is of a type that has the key.
    pub fn required(self, hint: &'static str) -> Self {
        self.rule(Rule::Required { hint })
    }

    /// Allows the key only beside another. `reason` goes on from "and" in the error.
    pub fn needs(self, other: &'static str, reason: &'static str) -> Self {
        self.rule(Rule::Needs { other, reason })
    }

    /// Refuses the key beside another. `reason` stands in the error.
    pub fn excludes(self, other: &'static str, reason: &'static str) -> Self {
        let word = None;
        self.rule(Rule::Excludes { other, word, reason })
    }

    /// Refuses the key where another is this word. `reason` stands in the error.
    pub fn excludes_word(self, other: &'static str, word: &'static str, reason: &'static str) -> Self {
        let word = Some(word);
        self.rule(Rule::Excludes { other, word, reason })
    }

    fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the default as one would write it, whether it is set or only documented.
    #[must_use]
    pub fn default_text(&self) -> Option<&'static str> {
        self.default
    }

    /// Returns the types of table that alone have this key; none, if all have it.
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

    /// Whether a table of this type may have the key.
    pub(super) fn is_of(&self, type_name: Option<&str>) -> bool {
        self.only.is_empty() || type_name.is_none_or(|name| self.only.contains(&name))
    }
}

/// The least and the most time of a range. Times in a configuration are of whole milliseconds.
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
    /// What it may be, for an error about something else.
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
