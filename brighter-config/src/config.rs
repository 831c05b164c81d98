//! [`Config`]: the settings in effect.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::names::alike;
use super::section::Section;
use super::settings::{self, Entries};
use super::table::Table;
use super::{ConfigError, Origin, Problem, Secret};

/// The settings in effect from files and variables, for the builders and for the application.
///
/// In brighter, `CommandProcessorBuilder::configure` and `DispatcherBuilder::configure` read it, and each adapter has a
/// `from_config`. [`Table`] reads the values of one section; the methods here read a single value.
///
/// `Display` prints a TOML file with the origin of every value beside it, and with secrets masked. Clones are cheap.
///
/// ```
/// use brighter_config::{Key, Loader, Section};
///
/// # fn main() -> Result<(), brighter_config::ConfigErrors> {
/// let sweeper = || Section::new("sweeper", [
///     Key::text("interval", "how often it looks"),
///     Key::count("batch", 1..=100_000, "how many at once"),
/// ]);
/// let config = Loader::new()
///     .section(sweeper())
///     .default_of("sweeper.interval", "500ms")
///     .variables([("BRIGHTER_SWEEPER_BATCH", "500")])
///     .load()?;
/// let shown = config.to_string();
/// assert!(shown.contains("interval = \"500ms\""));
/// assert!(shown.lines().any(|line| line.starts_with("batch = 500") && line.ends_with("# BRIGHTER_SWEEPER_BATCH")));
///
/// let wrong = Loader::new().section(sweeper()).variables([("BRIGHTER_SWEEPER_INTERVALL", "1s")]).load();
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
    sections: Vec<Section>,
    entries: Entries,
}

impl Config {
    pub(super) fn new(sections: Vec<Section>, entries: Entries) -> Self {
        Self(Arc::new(Inner { sections, entries }))
    }

    /// Returns the table of a section, or `None` if no source sets any of its keys.
    #[must_use]
    pub fn table(&self, section: &str) -> Option<Table<'_>> {
        self.find(section, "")
    }

    /// Returns the table of this name in a section with named tables.
    #[must_use]
    pub fn named_table(&self, section: &str, name: &str) -> Option<Table<'_>> {
        self.find(section, name)
    }

    /// Returns the tables of a section with named tables, sorted by name.
    pub fn tables(&self, section: &str) -> impl Iterator<Item = Table<'_>> {
        let section = self.section(section).into_iter();
        section.flat_map(|section| settings::tables(&self.0.entries, section))
    }

    fn find(&self, section: &str, name: &str) -> Option<Table<'_>> {
        let section = self.section(section)?;
        let entry = self.0.entries.get(&(section.name(), alike(name)))?;
        Some(Table { section, entry })
    }

    fn section(&self, name: &str) -> Option<&Section> {
        self.sections().iter().find(|section| section.name() == name)
    }

    pub(super) fn sections(&self) -> &[Section] {
        &self.0.sections
    }

    /// Returns the text or the word of this key.
    #[must_use]
    pub fn text(&self, section: &str, key: &str) -> Option<&str> {
        self.table(section)?.text(key)
    }

    /// Returns the text of this key as a path. A relative path from a file is relative to the folder of that file; any
    /// other is relative to the working directory.
    #[must_use]
    pub fn path(&self, section: &str, key: &str) -> Option<PathBuf> {
        self.table(section)?.path(key)
    }

    /// Returns the secret of this key.
    #[must_use]
    pub fn secret(&self, section: &str, key: &str) -> Option<&Secret> {
        self.table(section)?.secret(key)
    }

    /// Returns the boolean of this key.
    #[must_use]
    pub fn flag(&self, section: &str, key: &str) -> Option<bool> {
        self.table(section)?.flag(key)
    }

    /// Returns the integer of this key.
    #[must_use]
    pub fn count(&self, section: &str, key: &str) -> Option<u64> {
        self.table(section)?.count(key)
    }

    /// Returns the duration of this key.
    #[must_use]
    pub fn time(&self, section: &str, key: &str) -> Option<Duration> {
        self.table(section)?.time(key)
    }

    /// Returns the origin of this key; [`Origin::Default`] if no source sets it.
    #[must_use]
    pub fn origin(&self, section: &str, key: &str) -> Origin {
        let table = self.table(section);
        table.map_or(Origin::Default, |table| table.origin_of(key).clone())
    }

    /// Returns the error that the value of this key is impossible, for a reason that only the application knows. The
    /// text of a secret is not shown.
    #[must_use]
    pub fn impossible(&self, section: &str, key: &str, reason: impl fmt::Display) -> ConfigError {
        match self.table(section) {
            Some(table) => table.impossible(key, reason),
            None => ConfigError {
                origin: Origin::Default,
                problem: Problem::Impossible {
                    key: format!("{section}.{key}"),
                    value: "***".to_owned(),
                    reason: reason.to_string(),
                },
            },
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("entries", &self.0.entries)
            .finish_non_exhaustive()
    }
}
