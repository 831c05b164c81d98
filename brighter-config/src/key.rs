//! [`Key`]: what may stand in a configuration, and what each setting may be.

use std::time::Duration;

/// A setting that there is.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    /// What holds if nobody says it, as one would write it; none where that is nothing at all.
    pub default: Option<&'static str>,
    /// The kinds of policy that have it; all, if there are none here.
    pub only: &'static [&'static str],
    pub what: &'static str,
}

/// What a setting may be.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Any text that is not empty.
    Text,
    /// What may be a table's name in every database.
    TableName,
    /// Text that must not be seen.
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
    /// A number, or a range of numbers.
    Performers,
    /// So many within a time.
    Rate,
}

/// About as long as any clock can still add.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

impl Key {
    const fn new(name: &'static str, kind: Kind, what: &'static str) -> Self {
        Self {
            name,
            kind,
            default: None,
            only: &[],
            what,
        }
    }

    pub(super) const fn text(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::Text, what)
    }

    pub(super) const fn table(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::TableName, what)
    }

    pub(super) const fn secret(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::Secret, what)
    }

    pub(super) const fn flag(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::Flag, what)
    }

    pub(super) const fn texts(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::Texts, what)
    }

    pub(super) const fn times(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::Times, what)
    }

    pub(super) const fn performers(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::Performers, what)
    }

    pub(super) const fn rate(name: &'static str, what: &'static str) -> Self {
        Self::new(name, Kind::Rate, what)
    }

    pub(super) const fn one_of(
        name: &'static str,
        words: &'static [&'static str],
        what: &'static str,
    ) -> Self {
        Self::new(name, Kind::OneOf(words), what)
    }

    pub(super) const fn count(name: &'static str, least: u64, most: u64, what: &'static str) -> Self {
        Self::new(name, Kind::Count { least, most }, what)
    }

    pub(super) const fn share(name: &'static str, least: f64, most: f64, what: &'static str) -> Self {
        Self::new(name, Kind::Share { least, most }, what)
    }

    /// A time of at least so many milliseconds.
    pub(super) const fn time(name: &'static str, least: u64, what: &'static str) -> Self {
        let kind = Kind::Time {
            least: Duration::from_millis(least),
            most: LONGEST,
            or: None,
        };
        Self::new(name, kind, what)
    }

    /// The same, or a word.
    pub(super) const fn time_or(
        name: &'static str,
        least: u64,
        word: &'static str,
        what: &'static str,
    ) -> Self {
        let kind = Kind::Time {
            least: Duration::from_millis(least),
            most: LONGEST,
            or: Some(word),
        };
        Self::new(name, kind, what)
    }

    /// Is this, if nobody says it.
    pub(super) const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    /// Belongs to policies of these kinds.
    pub(super) const fn of(mut self, kinds: &'static [&'static str]) -> Self {
        self.only = kinds;
        self
    }

    pub(super) fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }
}

impl Kind {
    /// What it may be, for who wrote something else.
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
            Self::Performers => "a whole number, or a range such as `2 to 8`".to_owned(),
            Self::Rate => "a number within a time, such as `50/s` or `600 within 1m`".to_owned(),
        }
    }
}

pub(super) fn listed(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}
