//! [`Settings`]: every setting that somebody said, by section, name and key.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::key::Key;
use super::nearest::nearest;
use super::raw::Raw;
use super::schema::Known;
use super::value::{self, Value};
use super::{ConfigError, Origin, Problem, Secret, files};

/// A setting that somebody said.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    pub value: Value,
    pub origin: Origin,
}

/// One table: `[sweeper]`, or `[subscriptions.orders]`.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name, as it was first written; the section's own where there is only one.
    pub name: String,
    /// Where it stands first.
    pub origin: Origin,
    pub settings: BTreeMap<String, Setting>,
    /// Whether something in it was wrong, so that what is left tells only half.
    pub(super) is_broken: bool,
}

/// Every setting that somebody said.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// By section and [alike](alike) name.
    pub(super) entries: BTreeMap<(String, String), Entry>,
    pub(super) errors: Vec<ConfigError>,
    /// Where each key stands in the layer that is being read.
    layer: BTreeMap<String, Origin>,
}

/// Names that a variable cannot tell apart are one: `task-reminders` and `TASK_REMINDERS`.
pub(crate) fn alike(name: &str) -> String {
    let letter = |c: char| match c.is_ascii_alphanumeric() {
        true => c.to_ascii_uppercase(),
        false => '_',
    };
    name.chars().map(letter).collect()
}

/// How a table is called in messages.
pub(super) fn path_of(section: &Known, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{}.{name}", section.name),
        None => section.name.to_string(),
    }
}

const FILE: &str = "_file";

impl Settings {
    /// What comes now overrides what came before.
    pub(super) fn next_layer(&mut self) {
        self.layer.clear();
    }

    pub(super) fn wrong(&mut self, origin: Origin, problem: Problem) {
        self.errors.push(ConfigError { origin, problem });
    }

    /// The table of this name, which there is from now on.
    pub(super) fn entry(&mut self, section: &Known, name: Option<&str>, origin: &Origin) -> &mut Entry {
        let key = (section.name.to_string(), name.map(alike).unwrap_or_default());
        self.entries.entry(key).or_insert_with(|| Entry {
            name: name.unwrap_or(section.name).to_owned(),
            origin: origin.clone(),
            settings: BTreeMap::new(),
            is_broken: false,
        })
    }

    /// Reads one setting.
    pub(super) fn put(&mut self, section: &Known, name: Option<&str>, key: &str, raw: &Raw, origin: Origin) {
        let read = self.read(section, name, key, raw, &origin);
        let entry = self.entry(section, name, &origin);
        match read {
            Ok((key, setting)) => {
                entry.settings.insert(key, setting);
            }
            Err(problem) => {
                entry.is_broken = true;
                self.wrong(origin, problem);
            }
        }
    }

    fn read(
        &mut self,
        section: &Known,
        name: Option<&str>,
        key: &str,
        raw: &Raw,
        origin: &Origin,
    ) -> Result<(String, Setting), Problem> {
        let table = path_of(section, name);
        let secret = key.strip_suffix(FILE).filter(|key| {
            let known = section.keys.iter().find(|known| known.name == *key);
            known.is_some_and(Key::is_secret)
        });
        let wanted = secret.unwrap_or(key);
        let Some(known) = section.keys.iter().find(|known| known.name == wanted) else {
            let names = section.keys.iter().map(|key| key.name);
            return Err(Problem::UnknownKey {
                nearest: nearest(key, names.clone()),
                known: names.collect::<Vec<_>>().join(", "),
                section: table,
                key: key.to_owned(),
            });
        };
        let path = format!("{table}.{wanted}");
        if let Some(first) = self.layer.insert(path.clone(), origin.clone()) {
            return Err(Problem::Twice {
                key: path,
                first: Box::new(first),
            });
        }
        let setting = match secret {
            Some(_) => files::secret(&path, raw, origin)?,
            None => Setting {
                value: value::read(&known.kind, &path, raw)?,
                origin: origin.clone(),
            },
        };
        Ok((wanted.to_owned(), setting))
    }
}

impl Entry {
    /// Where this setting was said, or the table, if nobody did.
    #[doc(hidden)]
    pub fn origin_of(&self, key: &str) -> &Origin {
        self.settings
            .get(key)
            .map_or(&self.origin, |setting| &setting.origin)
    }

    #[doc(hidden)]
    pub fn has(&self, key: &str) -> bool {
        self.settings.contains_key(key)
    }

    fn value(&self, key: &str) -> Option<&Value> {
        self.settings.get(key).map(|setting| &setting.value)
    }

    #[doc(hidden)]
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.value(key)? {
            Value::Text(text) => Some(text),
            Value::Word(word) => Some(word),
            _ => None,
        }
    }

    /// The text as a path: what a file says is meant from that file's folder.
    #[doc(hidden)]
    pub fn path(&self, key: &str) -> Option<PathBuf> {
        let path = self.text(key)?;
        Some(match self.origin_of(key).folder() {
            Some(folder) => folder.join(path),
            None => PathBuf::from(path),
        })
    }

    #[doc(hidden)]
    pub fn secret(&self, key: &str) -> Option<&Secret> {
        match self.value(key)? {
            Value::Secret(secret) => Some(secret),
            _ => None,
        }
    }

    #[doc(hidden)]
    pub fn flag(&self, key: &str) -> Option<bool> {
        match self.value(key)? {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    #[doc(hidden)]
    pub fn count(&self, key: &str) -> Option<u64> {
        match self.value(key)? {
            Value::Count(count) => Some(*count),
            _ => None,
        }
    }

    /// A count that its key keeps this small.
    #[doc(hidden)]
    pub fn small(&self, key: &str) -> Option<u32> {
        self.count(key)
            .map(|count| u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// The same.
    #[doc(hidden)]
    pub fn size(&self, key: &str) -> Option<usize> {
        self.count(key)
            .map(|count| usize::try_from(count).unwrap_or(usize::MAX))
    }

    #[doc(hidden)]
    pub fn share(&self, key: &str) -> Option<f64> {
        match self.value(key)? {
            Value::Share(share) => Some(*share),
            _ => None,
        }
    }

    #[doc(hidden)]
    pub fn time(&self, key: &str) -> Option<Duration> {
        match self.value(key)? {
            Value::Time(time) => Some(*time),
            _ => None,
        }
    }

    /// The time, or `Some(None)` for the word that stands for none.
    #[doc(hidden)]
    pub fn time_or_none(&self, key: &str) -> Option<Option<Duration>> {
        match self.value(key)? {
            Value::Time(time) => Some(Some(*time)),
            Value::NoTime(_) => Some(None),
            _ => None,
        }
    }

    #[doc(hidden)]
    pub fn texts(&self, key: &str) -> Option<&[String]> {
        match self.value(key)? {
            Value::Texts(texts) => Some(texts),
            _ => None,
        }
    }

    #[doc(hidden)]
    pub fn times(&self, key: &str) -> Option<&[Duration]> {
        match self.value(key)? {
            Value::Times(times) => Some(times),
            _ => None,
        }
    }

    #[doc(hidden)]
    pub fn performers(&self, key: &str) -> Option<(usize, usize)> {
        match self.value(key)? {
            Value::Performers(least, most) => Some((*least, *most)),
            _ => None,
        }
    }

    #[doc(hidden)]
    pub fn rate(&self, key: &str) -> Option<(u32, Duration)> {
        match self.value(key)? {
            Value::Rate(count, within) => Some((*count, *within)),
            _ => None,
        }
    }
}
