//! [`Section`]: settings of an application's own, beside brighter's.

use std::borrow::Cow;
use std::time::Duration;

use super::key::{Key, Kind};
use super::schema::Known;

/// A section of the application's own, so that one file and one set of variables is enough for all there is.
///
/// ```
/// use brighter::config::{Config, Section};
///
/// # fn main() -> Result<(), brighter::config::ConfigErrors> {
/// let config = Config::loader()
///     .section(
///         Section::new("shop")
///             .text("title", "what the page is called")
///             .default("A shop")
///             .secret("payment_token", "what the bank knows us by"),
///     )
///     .variables([("BRIGHTER_SHOP_TITLE", "Another shop")])
///     .load()?;
/// assert_eq!(config.text("shop", "title"), Some("Another shop"));
/// assert!(config.secret("shop", "payment_token").is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "give it to `Loader::section`"]
pub struct Section(Known);

impl Section {
    /// A section of this name, without keys. The name and those of its keys are best made of small letters and
    /// underscores.
    pub fn new(name: &'static str) -> Self {
        Self(Known {
            name,
            named: false,
            keys: Cow::Owned(Vec::new()),
        })
    }

    /// A key of any text that is not empty. `what` is for those who read what `--print-config` shows.
    pub fn text(self, key: &'static str, what: &'static str) -> Self {
        self.key(key, Kind::Text, what)
    }

    /// A key of text that must not be seen, which may also come from a file: `key_file`.
    pub fn secret(self, key: &'static str, what: &'static str) -> Self {
        self.key(key, Kind::Secret, what)
    }

    /// A key that is true or false.
    pub fn flag(self, key: &'static str, what: &'static str) -> Self {
        self.key(key, Kind::Flag, what)
    }

    /// A key of a whole number between these two, which it may be.
    pub fn count(self, key: &'static str, least: u64, most: u64, what: &'static str) -> Self {
        self.key(key, Kind::Count { least, most }, what)
    }

    /// A key of a time between these two, which it may be.
    pub fn time(self, key: &'static str, least: Duration, most: Duration, what: &'static str) -> Self {
        self.key(
            key,
            Kind::Time {
                least,
                most,
                or: None,
            },
            what,
        )
    }

    /// A key that is one of these words.
    pub fn one_of(self, key: &'static str, words: &'static [&'static str], what: &'static str) -> Self {
        self.key(key, Kind::OneOf(words), what)
    }

    /// Gives the key that was added last a value that holds if nobody says another.
    pub fn default(mut self, value: &'static str) -> Self {
        if let Some(key) = self.0.keys.to_mut().last_mut() {
            key.default = Some(value);
        }
        self
    }

    fn key(mut self, name: &'static str, kind: Kind, what: &'static str) -> Self {
        self.0.keys.to_mut().push(Key {
            name,
            kind,
            default: None,
            only: &[],
            what,
        });
        self
    }

    pub(super) fn into_known(self) -> Known {
        self.0
    }
}
