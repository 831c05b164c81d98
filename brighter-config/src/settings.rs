//! [`Settings`]: all settings of all sources, by section, name and key.

use std::collections::BTreeMap;

use super::key::Key;
use super::names::alike;
use super::raw::Raw;
use super::section::Section;
use super::table::{Setting, Table, TableEntry};
use super::{ConfigError, ConfigErrors, Origin, Problem, secret_file, value};

/// The tables by section and [normalised](alike) name.
pub(super) type Entries = BTreeMap<(&'static str, String), TableEntry>;

/// All settings of all sources.
#[derive(Debug, Default)]
pub(super) struct Settings {
    pub(super) entries: Entries,
    pub(super) errors: Vec<ConfigError>,
    /// How many more there are.
    more: usize,
    /// The origin of each key in the source that is being read.
    layer: BTreeMap<String, Origin>,
}

/// Returns the tables of a section.
pub(super) fn tables<'a>(entries: &'a Entries, section: &'a Section) -> impl Iterator<Item = Table<'a>> {
    let entries = entries.iter().filter(|((of, _), _)| *of == section.name());
    entries.map(move |(_, entry)| Table { section, entry })
}

const FILE: &str = "_file";

/// So much is told at once: nobody reads more.
const MOST_ERRORS: usize = 100;

impl Settings {
    /// Begins the next source, which overrides the earlier ones.
    pub(super) fn next_layer(&mut self) {
        self.layer.clear();
    }

    pub(super) fn wrong(&mut self, origin: Origin, problem: Problem) {
        match self.has_room_for_errors() {
            true => self.errors.push(ConfigError { origin, problem }),
            false => self.more += 1,
        }
    }

    /// Notes that there is no such section.
    pub(super) fn unknown_section(&mut self, origin: Origin, name: &str, sections: &[Section]) {
        let problem = match self.has_room_for_errors() {
            true => Section::unknown(name, sections),
            false => Problem::More { count: 1 },
        };
        self.wrong(origin, problem);
    }

    /// Whether what is wrong is still told, and worth some time to find out what was meant.
    pub(super) fn has_room_for_errors(&self) -> bool {
        self.errors.len() < MOST_ERRORS
    }

    /// Returns the settings if none of them is wrong.
    pub(super) fn finish(mut self) -> Result<Entries, ConfigErrors> {
        if self.more > 0 {
            let (origin, count) = (Origin::Default, self.more);
            let problem = Problem::More { count };
            self.errors.push(ConfigError { origin, problem });
        }
        ConfigErrors::check(self.errors)?;
        Ok(self.entries)
    }

    /// Returns the tables of this section.
    pub(super) fn tables<'a>(&'a self, section: &'a Section) -> impl Iterator<Item = Table<'a>> {
        tables(&self.entries, section)
    }

    /// Returns the table of this name, and adds it if it is missing.
    pub(super) fn entry(
        &mut self,
        section: &Section,
        name: Option<&str>,
        origin: &Origin,
    ) -> &mut TableEntry {
        let key = (section.name(), name.map(alike).unwrap_or_default());
        self.entries.entry(key).or_insert_with(|| TableEntry {
            name: name.unwrap_or(section.name()).to_owned(),
            origin: origin.clone(),
            settings: BTreeMap::new(),
            is_broken: false,
        })
    }

    /// Reads one setting.
    pub(super) fn put(
        &mut self,
        section: &Section,
        name: Option<&str>,
        key: &str,
        raw: &Raw,
        origin: Origin,
    ) {
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

    /// Sets the defaults of keys without a value: in every named table, or in the only table of a section.
    pub(super) fn fill(&mut self, section: &Section) {
        let mut missing = Vec::new();
        let defaults = || {
            let keys = section.keys().iter().filter(|key| key.sets_default);
            keys.filter_map(|key| Some((key, key.default?)))
        };
        for table in self.tables(section) {
            let name = section.is_named().then(|| table.name().to_owned());
            let type_name = table.type_name();
            for (key, default) in defaults() {
                if !table.has(key.name) && key.is_of(type_name) {
                    missing.push((name.clone(), key.name, default));
                }
            }
        }
        if !section.is_named() && self.tables(section).next().is_none() {
            missing.extend(defaults().map(|(key, default)| (None, key.name, default)));
        }
        for (name, key, default) in missing {
            let raw = Raw::Plain(default.to_owned());
            self.put(section, name.as_deref(), key, &raw, Origin::Default);
        }
    }

    fn read(
        &mut self,
        section: &Section,
        name: Option<&str>,
        key: &str,
        raw: &Raw,
        origin: &Origin,
    ) -> Result<(String, Setting), Problem> {
        let table = section.path(name);
        let secret = key
            .strip_suffix(FILE)
            .filter(|key| section.key(key).is_some_and(Key::is_secret));
        let wanted = secret.unwrap_or(key);
        let Some(known) = section.key(wanted) else {
            return Err(match self.has_room_for_errors() {
                true => section.unknown_key(table, key),
                false => Problem::More { count: 1 },
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
            Some(_) => secret_file::read(&path, raw, origin)?,
            None => Setting {
                value: value::read(&known.kind, &path, raw)?,
                origin: origin.clone(),
            },
        };
        Ok((wanted.to_owned(), setting))
    }
}
