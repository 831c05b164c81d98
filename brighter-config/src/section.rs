//! [`Section`]: a table of settings that its owner declares.

use brighter_core::__private::redact;

use crate::error::Problem;
use crate::key::Key;
use crate::nearest::nearest_spelling;
use crate::secret::cut;

/// A section of a configuration, such as `[rabbitmq]`, with its allowed keys.
///
/// Each part of a program declares its own section and passes it to [`Loader::section`](crate::Loader::section): an
/// adapter, brighter itself, and the application. So one file and one set of variables suffice for all of them, and an
/// error can list every key.
///
/// ```
/// use brighter_config::{Key, Loader, Section};
///
/// # fn main() -> Result<(), brighter_config::ConfigErrors> {
/// let shop = Section::new("shop", [
///     Key::text("title", "what the page is called").default("A shop"),
///     Key::secret("payment_token", "the token of the bank"),
/// ]);
/// let config = Loader::new()
///     .section(shop)
///     .variables([("BRIGHTER_SHOP_TITLE", "Another shop")])
///     .load()?;
/// assert_eq!(config.text("shop", "title"), Some("Another shop"));
/// assert!(config.secret("shop", "payment_token").is_none());
/// # Ok(())
/// # }
/// ```
///
/// A section may have many named tables. Its tables may be of several types, each with keys of its own:
///
/// ```
/// use std::time::Duration;
///
/// use brighter_config::{Key, Loader, Section};
///
/// # fn main() -> Result<(), brighter_config::ConfigErrors> {
/// const TYPES: &[&str] = &["mail", "page"];
/// let alarms = Section::named("alarms", [
///     Key::types("type", TYPES, &[], "how the alarm is sent").required("write `mail` or `page`"),
///     Key::text("address", "the address of the mail").only_for(&["mail"]).required("write an address"),
///     Key::time("pause", Duration::ZERO.., "how long until the next page").only_for(&["page"]),
/// ]);
/// let config = Loader::new()
///     .section(alarms)
///     .default_of("alarms.night.type", "page")
///     .default_of("alarms.night.pause", "5m")
///     .load()?;
/// for table in config.tables("alarms") {
///     assert_eq!(table.name(), "night");
///     assert_eq!(table.type_name(), Some("page"));
///     assert_eq!(table.time("pause"), Some(Duration::from_secs(300)));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "give it to `Loader::section`"]
pub struct Section {
    name: &'static str,
    is_named: bool,
    keys: Vec<Key>,
    synonyms: &'static [&'static str],
}

impl Section {
    /// Returns a section with one table: `[name]`. Write its name and its keys in lower case and with underscores, so
    /// that variables can spell them.
    pub fn new(name: &'static str, keys: impl IntoIterator<Item = Key>) -> Self {
        Self {
            name,
            is_named: false,
            keys: keys.into_iter().collect(),
            synonyms: &[],
        }
    }

    /// Returns a section with many named tables: `[name.orders]`, `[name.invoices]`.
    pub fn named(name: &'static str, keys: impl IntoIterator<Item = Key>) -> Self {
        Self {
            is_named: true,
            ..Self::new(name, keys)
        }
    }

    /// Names what other programs call this section, such as `consumers` for `subscriptions`: see [`Key::synonyms`].
    pub fn synonyms(mut self, names: &'static [&'static str]) -> Self {
        self.synonyms = names;
        self
    }

    /// Returns the name of the section.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns whether the section has named tables.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.is_named
    }

    /// Returns the keys, in the order of their declaration.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    pub(crate) fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The problem that there is no such section among these.
    pub(crate) fn unknown(name: &str, sections: &[Self]) -> Problem {
        let spellings = sections.iter().flat_map(|section| {
            let synonyms = section.synonyms.iter().copied();
            let spellings = std::iter::once(section.name).chain(synonyms);
            spellings.map(|spelling| (spelling, section.name))
        });
        let names: Vec<_> = sections.iter().map(|section| section.name).collect();
        Problem::UnknownSection {
            nearest: nearest_spelling(name, spellings),
            known: names.join(", "),
            name: redact::text(&cut(name)).into_owned(),
        }
    }

    /// The problem that it, or its table that messages call so, has no such key.
    pub(crate) fn unknown_key(&self, table: String, key: &str) -> Problem {
        let names: Vec<_> = self.keys.iter().map(|key| key.name).collect();
        Problem::UnknownKey {
            nearest: nearest_spelling(key, self.keys.iter().flat_map(Key::spellings)),
            known: names.join(", "),
            section: table,
            key: redact::text(&cut(key)).into_owned(),
        }
    }

    /// Returns the path of one of its tables, for messages.
    pub(crate) fn path(&self, name: Option<&str>) -> String {
        match name {
            Some(name) => format!("{}.{}", self.name, redact::text(&cut(name))),
            None => self.name.to_owned(),
        }
    }

    /// Returns the key of the table's type, with the table names that imply a type.
    pub(crate) fn types(&self) -> Option<(&Key, &'static [&'static str])> {
        self.keys
            .iter()
            .find_map(|key| key.names_of_types.map(|names| (key, names)))
    }
}
