//! [`Loader`]: loads settings from their sources.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::config::Config;
use super::key::KeyRule;
use super::raw::Raw;
use super::section::Section;
use super::settings::Settings;
use super::{ConfigErrors, Origin, Problem, check, files, variables};

/// Declares the settings and their sources, and loads them.
///
/// An application begins with `brighter::config::loader()`, which includes the sections of brighter and of every
/// adapter with an enabled feature. [`Loader::new`] has no sections.
///
/// A later row of this table overrides an earlier one:
///
/// | source | method |
/// |---|---|
/// | defaults, and values of the program in the builders | |
/// | defaults of the program that the configuration shows | [`default_of`](Self::default_of) |
/// | a TOML or YAML file | [`file`](Self::file), or `BRIGHTER_CONFIG` |
/// | variables of the environment | [`environment`](Self::environment) |
/// | arguments of the command line | [`set`](Self::set) |
#[must_use = "nothing is read until `load` is called"]
#[derive(Default)]
pub struct Loader {
    sections: Vec<Section>,
    defaults: Vec<(String, String)>,
    file: Option<(PathBuf, Option<Origin>)>,
    variables: Vec<(OsString, OsString)>,
    set: Vec<(String, String, String)>,
}

impl Loader {
    /// Returns a loader without sections and sources, for an adapter's own tests and for a program without brighter. An
    /// application begins with `brighter::config::loader()`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a section. Two sections of the same name are an error of [`load`](Self::load).
    pub fn section(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// Sets a value that a file, a variable or an argument can override. `key` is a path such as
    /// `subscriptions.orders.performers`. The value is written as in a variable: a list has commas.
    pub fn default_of(mut self, key: impl Into<String>, value: impl fmt::Display) -> Self {
        self.defaults.push((key.into(), value.to_string()));
        self
    }

    /// Reads this file, which must exist, as TOML or YAML by its name. It replaces an earlier file, and the one that
    /// `BRIGHTER_CONFIG` names.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some((path.into(), None));
        self
    }

    /// Reads the environment variables that begin with `BRIGHTER_`. `BRIGHTER_CONFIG` names the file, and every other
    /// is a setting, such as `BRIGHTER_SUBSCRIPTIONS_ORDERS_PERFORMERS`.
    pub fn environment(self) -> Self {
        self.variables(std::env::vars_os())
    }

    /// Reads these variables as if they were the environment.
    pub fn variables<N: Into<OsString>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let variables = variables.into_iter();
        self.variables
            .extend(variables.map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Overrides a setting. `by` names the source in error messages, such as `--performers`.
    pub fn set(mut self, by: impl Into<String>, key: impl Into<String>, value: impl fmt::Display) -> Self {
        self.set.push((by.into(), key.into(), value.to_string()));
        self
    }

    /// Loads the settings from all sources.
    ///
    /// # Errors
    /// Returns all mistakes at once, each with its file and line, its variable or its argument.
    pub fn load(mut self) -> Result<Config, ConfigErrors> {
        let mut settings = Settings::default();
        let mut sections: Vec<Section> = Vec::new();
        for section in std::mem::take(&mut self.sections) {
            declared(&section, &mut settings);
            if sections.iter().any(|other| other.name() == section.name()) {
                twice(section.name().to_owned(), &mut settings);
                continue;
            }
            sections.push(section);
        }
        settings.next_layer();
        for (key, value) in &self.defaults {
            one(key, value, Origin::Code, &sections, &mut settings);
        }
        settings.next_layer();
        if let Some((path, named_by)) = self.file_to_read() {
            let before = settings.errors.len();
            files::read(&path, &sections, &mut settings);
            // If the file cannot be read, the error also names the source of its path.
            if let (Some(named_by), Some(error)) = (named_by, settings.errors.get_mut(before))
                && matches!(error.problem, Problem::Unreadable { .. } | Problem::UnknownKind)
            {
                error.origin = Origin::SecretFile {
                    path,
                    named_by: Box::new(named_by),
                };
            }
        }
        settings.next_layer();
        variables::read(&self.variables, &sections, &mut settings);
        for (by, key, value) in &self.set {
            settings.next_layer();
            let name = Arc::from(by.as_str());
            one(key, value, Origin::Other { name }, &sections, &mut settings);
        }
        settings.next_layer();
        sections.iter().for_each(|section| settings.fill(section));
        check::check(&sections, &mut settings);
        let entries = settings.finish()?;
        Ok(Config::new(sections, entries))
    }

    fn file_to_read(&mut self) -> Option<(PathBuf, Option<Origin>)> {
        self.file.take().or_else(|| {
            let named = self
                .variables
                .iter()
                .find(|(name, _)| name == variables::CONFIG)?;
            let name = Arc::from(variables::CONFIG);
            Some((PathBuf::from(&named.1), Some(Origin::Variable { name })))
        })
    }
}

/// Reports mistakes in the declaration of a section.
fn declared(section: &Section, settings: &mut Settings) {
    for (at, key) in section.keys().iter().enumerate() {
        if section.keys()[..at].iter().any(|other| other.name == key.name) {
            twice(format!("{}.{}", section.name(), key.name), settings);
        }
        for rule in &key.rules {
            let (KeyRule::Needs { other, .. } | KeyRule::Excludes { other, .. }) = *rule else {
                continue;
            };
            if section.key(other).is_none() {
                let problem = section.unknown_key(section.name().to_owned(), other);
                settings.wrong(Origin::Code, problem);
            }
        }
    }
}

fn twice(key: String, settings: &mut Settings) {
    let first = Box::new(Origin::Code);
    settings.wrong(Origin::Code, Problem::Twice { key, first });
}

/// Reads one setting by its path: `sweeper.interval`, `subscriptions.orders.performers`.
fn one(path: &str, value: &str, origin: Origin, sections: &[Section], settings: &mut Settings) {
    let (section, rest) = path.split_once('.').unwrap_or((path, ""));
    let Some(known) = sections.iter().find(|known| known.name() == section) else {
        return settings.unknown_section(origin, section, sections);
    };
    let (name, key) = match known.is_named() {
        true => match rest.rsplit_once('.') {
            Some((name, key)) => (Some(name), key),
            None => {
                let what = format!("write `{section}.a-name.a-key`");
                let key = path.to_owned();
                return settings.wrong(origin, Problem::Missing { key, what });
            }
        },
        false => (None, rest),
    };
    settings.put(known, name, key, &Raw::Plain(value.to_owned()), origin);
}

/// Omits the values, because some of them are secrets.
impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = |pairs: &[(String, String)]| pairs.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
        f.debug_struct("Loader")
            .field("sections", &self.sections)
            .field("defaults", &keys(&self.defaults))
            .field("file", &self.file)
            .field("set", &self.set.iter().map(|(by, ..)| by).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
