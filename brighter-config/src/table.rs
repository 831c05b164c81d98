//! [`Table`]: reads the values of one table.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::names::alike;
use super::nearest::{is_slip, nearest};
use super::section::Section;
use super::value::SettingValue;
use super::{ConfigError, Origin, Problem, Secret};

/// A setting from a source, or the default of its key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting {
    pub(super) value: SettingValue,
    pub(super) origin: Origin,
}

/// The state of one table.
#[derive(Debug, Clone)]
pub(super) struct TableEntry {
    /// The name as it was first written; the name of the section if it has one table.
    pub(super) name: String,
    /// The origin of the table's first setting.
    pub(super) origin: Origin,
    pub(super) settings: BTreeMap<String, Setting>,
    /// Whether the table has a mistake, so that its other settings are incomplete.
    pub(super) is_broken: bool,
}

static DEFAULT: Origin = Origin::Default;

/// One table of a configuration, such as `[sweeper]` or `[subscriptions.orders]`, with typed values.
///
/// Each method that reads a key returns `None` if no source sets it and it has no [default](crate::Key::default), or if
/// the key is of another kind.
///
/// ```
/// use std::time::Duration;
///
/// use brighter_config::{Key, Loader, Section};
///
/// # fn main() -> Result<(), brighter_config::ConfigErrors> {
/// let section = Section::new("kafka", [
///     Key::time("heartbeat_interval", Duration::from_secs(1).., "how often a heartbeat is sent"),
///     Key::time_or("start_timeout", Duration::ZERO.., "never", "how long a start waits for the broker"),
/// ]);
/// let config = Loader::new()
///     .section(section)
///     .variables([
///         ("BRIGHTER_KAFKA_HEARTBEAT_INTERVAL", "5s"),
///         ("BRIGHTER_KAFKA_START_TIMEOUT", "never"),
///     ])
///     .load()?;
/// if let Some(table) = config.table("kafka") {
///     assert_eq!(table.time("heartbeat_interval"), Some(Duration::from_secs(5)));
///     assert_eq!(table.time_or_none("start_timeout"), Some(None));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    pub(super) section: &'a Section,
    pub(super) entry: &'a TableEntry,
}

impl<'a> Table<'a> {
    /// Returns the name of the table as it was first written, or that of the section if it has one table.
    #[must_use]
    pub fn name(&self) -> &'a str {
        &self.entry.name
    }

    /// Returns whether the table has this name. A variable has neither lower case nor hyphens, so `task-reminders` and
    /// `TASK_REMINDERS` are the same name.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        alike(&self.entry.name) == alike(name)
    }

    /// Returns the one of these names that is most similar to the name of the table, if any is similar enough. It is
    /// for the error about a table that is not used.
    #[must_use]
    pub fn nearest_name<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
        nearest(&self.entry.name, names)
    }

    /// Returns the one of these names that the table's is a slip of: each word of it is the same, or differs by a letter in
    /// five at most. Numbers and words of one or two letters are no slips, so `orders-eu` is none of `orders-us`.
    #[must_use]
    pub fn slip_of<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
        let names = names.into_iter();
        let mut slips = names.filter(|name| !self.is_named(name) && is_slip(&self.entry.name, name));
        slips.next().map(str::to_owned)
    }

    /// Returns the type of the table, by its key of [types](crate::Key::types) or by its name.
    #[must_use]
    pub fn type_name(&self) -> Option<&'a str> {
        let (key, names) = self.section.types()?;
        let by_name = names.iter().copied().find(|name| *name == self.entry.name);
        self.text(key.name).or(by_name)
    }

    /// Returns the origin of the table's first setting.
    #[must_use]
    pub fn origin(&self) -> &'a Origin {
        &self.entry.origin
    }

    /// Returns the origin of this key; [`Origin::Default`] if no source sets it.
    #[must_use]
    pub fn origin_of(&self, key: &str) -> &'a Origin {
        let setting = self.entry.settings.get(key);
        setting.map_or(&DEFAULT, |setting| &setting.origin)
    }

    /// Returns whether the key has a value.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.entry.settings.contains_key(key)
    }

    /// Returns whether a source sets the key, and not only its default.
    pub(super) fn says(&self, key: &str) -> bool {
        self.has(key) && *self.origin_of(key) != Origin::Default
    }

    fn value(&self, key: &str) -> Option<&'a SettingValue> {
        self.entry.settings.get(key).map(|setting| &setting.value)
    }

    /// Returns the text, the name of a database table, or the word of this key.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&'a str> {
        match self.value(key)? {
            SettingValue::Text(text) => Some(text),
            SettingValue::Word(word) => Some(word),
            _ => None,
        }
    }

    /// Returns the list of texts of this key.
    #[must_use]
    pub fn texts(&self, key: &str) -> Option<&'a [String]> {
        match self.value(key)? {
            SettingValue::Texts(texts) => Some(texts),
            _ => None,
        }
    }

    /// Returns the text as a path. A relative path from a file is relative to the folder of that file; any other is
    /// relative to the working directory.
    #[must_use]
    pub fn path(&self, key: &str) -> Option<PathBuf> {
        let path = self.text(key)?;
        Some(match self.origin_of(key).folder() {
            Some(folder) => folder.join(path),
            None => PathBuf::from(path),
        })
    }

    /// Returns the secret of this key.
    #[must_use]
    pub fn secret(&self, key: &str) -> Option<&'a Secret> {
        match self.value(key)? {
            SettingValue::Secret(secret) => Some(secret),
            _ => None,
        }
    }

    /// Returns the boolean of this key.
    #[must_use]
    pub fn flag(&self, key: &str) -> Option<bool> {
        match self.value(key)? {
            SettingValue::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    /// Returns the integer of this key.
    #[must_use]
    pub fn count(&self, key: &str) -> Option<u64> {
        match self.value(key)? {
            SettingValue::Count(count) => Some(*count),
            _ => None,
        }
    }

    /// Returns the integer as a `u32`. Declare the key with a range up to `u32::MAX` or less, so that the loader
    /// refuses a larger number.
    #[must_use]
    pub fn count_u32(&self, key: &str) -> Option<u32> {
        let count = self.count(key)?;
        Some(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Returns the integer as a `usize`. Declare the key with a range up to `u32::MAX` or less, so that the loader
    /// refuses a number that is too large on some machines.
    #[must_use]
    pub fn count_usize(&self, key: &str) -> Option<usize> {
        let count = self.count(key)?;
        Some(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// Returns the fraction of this key.
    #[must_use]
    pub fn share(&self, key: &str) -> Option<f64> {
        match self.value(key)? {
            SettingValue::Share(share) => Some(*share),
            _ => None,
        }
    }

    /// Returns the duration of this key.
    #[must_use]
    pub fn time(&self, key: &str) -> Option<Duration> {
        match self.value(key)? {
            SettingValue::Time(time) => Some(*time),
            _ => None,
        }
    }

    /// Returns the duration, or `Some(None)` for the word that means none.
    #[must_use]
    pub fn time_or_none(&self, key: &str) -> Option<Option<Duration>> {
        match self.value(key)? {
            SettingValue::Time(time) => Some(Some(*time)),
            SettingValue::NoTime(_) => Some(None),
            _ => None,
        }
    }

    /// Returns the list of durations of this key.
    #[must_use]
    pub fn times(&self, key: &str) -> Option<&'a [Duration]> {
        match self.value(key)? {
            SettingValue::Times(times) => Some(times),
            _ => None,
        }
    }

    /// Returns the range; a single number is a range of only that number.
    #[must_use]
    pub fn range(&self, key: &str) -> Option<RangeInclusive<usize>> {
        match self.value(key)? {
            SettingValue::Range(least, most) => Some(*least..=*most),
            _ => None,
        }
    }

    /// Returns the number and its time.
    #[must_use]
    pub fn rate(&self, key: &str) -> Option<(u32, Duration)> {
        match self.value(key)? {
            SettingValue::Rate(count, within) => Some((*count, *within)),
            _ => None,
        }
    }

    /// Returns the error that the value of this key is impossible, for a reason that only the owner of the section
    /// knows. The text of a secret is not shown.
    #[must_use]
    pub fn impossible(&self, key: &str, reason: impl fmt::Display) -> ConfigError {
        ConfigError {
            origin: self.origin_of(key).clone(),
            problem: Problem::Impossible {
                key: self.path_of(key),
                value: match self.value(key) {
                    Some(SettingValue::Secret(_)) | None => "***".to_owned(),
                    Some(value) => value.to_string(),
                },
                reason: reason.to_string(),
            },
        }
    }

    /// Returns the path of one of its keys, for messages.
    pub(super) fn path_of(&self, key: &str) -> String {
        let name = self.section.is_named().then_some(self.name());
        format!("{}.{key}", self.section.path(name))
    }
}
