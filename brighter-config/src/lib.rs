//! Settings that an operator changes without the program: from a file and from variables of the environment.
//!
//! What the program says is the beginning, a file overrides it, and variables override both. Every value remembers
//! where it comes from, so that whatever is wrong is told with its file and line or its variable, all of it at once,
//! and [`Config`] can show what holds and why.
//!
//! ```toml
//! # brighter.toml
//! [rabbitmq]
//! url_file = "/run/secrets/rabbitmq"
//!
//! [sweeper]
//! interval = "200ms"
//!
//! [subscriptions.task-reminders]
//! performers = "2 to 8"
//! delays = ["1s", "10s"]
//!
//! [policies.retry]
//! attempts = 5
//! ```
//!
//! The variable of a setting is `BRIGHTER`, its section, the name within it if it has one, and its key:
//! `BRIGHTER_SWEEPER_INTERVAL`, `BRIGHTER_SUBSCRIPTIONS_TASK_REMINDERS_PERFORMERS`. A secret may stand in a file of
//! its own, which `url_file` or `BRIGHTER_RABBITMQ_URL_FILE` names. `docs/configuration.md` of the repository lists
//! every setting.

#![allow(missing_docs)]

mod check;
mod error;
mod files;
mod key;
mod loader;
mod nearest;
mod origin;
mod print;
mod raw;
mod schema;
mod secret;
mod section;
mod settings;
mod time;
mod toml;
mod value;
mod variables;
mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[doc(hidden)]
pub use check::kind_of;
pub use error::{ConfigError, ConfigErrors, Problem};
pub use loader::Loader;
#[doc(hidden)]
pub use nearest::nearest;
pub use origin::Origin;

pub use secret::Secret;
pub use section::Section;
use settings::alike;
#[doc(hidden)]
pub use settings::{Entry, Setting};
#[doc(hidden)]
pub use {
    key::{Key, Kind},
    schema::*,
    value::Value,
};

/// Settings from files and variables, for the builders: [`CommandProcessorBuilder::configure`],
/// [`DispatcherBuilder::configure`], [`Config::rabbitmq`], [`Config::outbox`], [`Config::inbox`].
///
/// It prints as a TOML file, with the origin of every value beside it and secrets masked. Clones are cheap.
///
/// [`CommandProcessorBuilder::configure`]: brighter::processor::CommandProcessorBuilder::configure
/// [`DispatcherBuilder::configure`]: brighter::dispatcher::DispatcherBuilder::configure
///
/// ```
/// use brighter::config::Config;
///
/// # fn main() -> Result<(), brighter::config::ConfigErrors> {
/// let config = Config::loader()
///     .default_of("sweeper.interval", "500ms")
///     .variables([("BRIGHTER_SWEEPER_BATCH", "500")])
///     .load()?;
/// let shown = config.to_string();
/// assert!(shown.contains("interval = \"500ms\""));
/// assert!(shown.lines().any(|line| line.starts_with("batch = 500") && line.ends_with("# BRIGHTER_SWEEPER_BATCH")));
///
/// let wrong = Config::loader().variables([("BRIGHTER_SWEEPER_INTERVALL", "1s")]).load();
/// assert_eq!(
///     wrong.unwrap_err().to_string(),
///     "BRIGHTER_SWEEPER_INTERVALL: no setting has this variable; did you mean `BRIGHTER_SWEEPER_INTERVAL`?"
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Config(Arc<Inner>);

struct Inner {
    schema: Vec<Known>,
    entries: BTreeMap<(String, String), Entry>,
}

impl Config {
    /// Reads the variables of the environment, and the file that `BRIGHTER_CONFIG` names if it is set.
    ///
    /// # Errors
    /// Everything that is wrong, all at once, each with its file and line or its variable.
    pub fn load() -> Result<Self, ConfigErrors> {
        Self::loader().environment().load()
    }

    /// Begins to say where settings are looked for: nowhere yet.
    pub fn loader() -> Loader {
        Loader::default()
    }

    fn new(schema: Vec<Known>, entries: BTreeMap<(String, String), Entry>) -> Self {
        Self(Arc::new(Inner { schema, entries }))
    }

    /// The text of this key in a section of the application's own; a word, if it is one of some. `None` if nobody
    /// said it, as with the others.
    #[must_use]
    pub fn text(&self, section: &str, key: &str) -> Option<&str> {
        self.entry(section)?.text(key)
    }

    /// The same as the path of a file or folder: what a file says is meant from the folder of that file, and what
    /// anybody else says from the working directory.
    #[must_use]
    pub fn path(&self, section: &str, key: &str) -> Option<PathBuf> {
        self.entry(section)?.path(key)
    }

    /// The secret of this key.
    #[must_use]
    pub fn secret(&self, section: &str, key: &str) -> Option<&Secret> {
        self.entry(section)?.secret(key)
    }

    /// Whether this key is true.
    #[must_use]
    pub fn flag(&self, section: &str, key: &str) -> Option<bool> {
        self.entry(section)?.flag(key)
    }

    /// The number of this key.
    #[must_use]
    pub fn count(&self, section: &str, key: &str) -> Option<u64> {
        self.entry(section)?.count(key)
    }

    /// The time of this key.
    #[must_use]
    pub fn time(&self, section: &str, key: &str) -> Option<Duration> {
        self.entry(section)?.time(key)
    }

    /// Where this key was said; [`Origin::Default`], if nobody did.
    #[must_use]
    pub fn origin(&self, section: &str, key: &str) -> Origin {
        let entry = self.entry(section);
        let setting = entry.and_then(|entry| entry.settings.get(key));
        setting.map_or(Origin::Default, |setting| setting.origin.clone())
    }

    /// That the value of this key is no good, for reasons that only the application knows.
    #[must_use]
    pub fn impossible(&self, section: &str, key: &str, reason: impl fmt::Display) -> ConfigError {
        let setting = self.entry(section).and_then(|entry| entry.settings.get(key));
        ConfigError {
            origin: self.origin(section, key),
            problem: Problem::Impossible {
                key: format!("{section}.{key}"),
                value: match setting.map(|setting| &setting.value) {
                    Some(value::Value::Secret(_)) | None => "***".to_owned(),
                    Some(value) => value.to_string(),
                },
                reason: reason.to_string(),
            },
        }
    }

    /// The table of a section that has one.
    #[doc(hidden)]
    pub fn entry(&self, section: &str) -> Option<&Entry> {
        self.0.entries.get(&(section.to_owned(), String::new()))
    }

    /// The table of this name in a section that has many.
    #[doc(hidden)]
    pub fn named(&self, section: &str, name: &str) -> Option<&Entry> {
        self.0.entries.get(&(section.to_owned(), alike(name)))
    }

    /// Whether the table is of this name, however it was written.
    #[doc(hidden)]
    pub fn is_named(&self, entry: &Entry, name: &str) -> bool {
        alike(&entry.name) == alike(name)
    }

    /// The tables of a section that has many.
    #[doc(hidden)]
    pub fn entries_of<'a>(&'a self, section: &'a str) -> impl Iterator<Item = &'a Entry> {
        let entries = self.0.entries.iter();
        entries
            .filter(move |((of, _), _)| of == section)
            .map(|(_, entry)| entry)
    }

    fn schema(&self) -> &[Known] {
        &self.0.schema
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("entries", &self.0.entries)
            .finish_non_exhaustive()
    }
}
