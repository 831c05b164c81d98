//! Settings that an operator changes without the program: from a file and from variables of the environment.
//!
//! [`load`] reads them in one call; [`loader`] adds an application's own sections and defaults.
//!
//! ```
//! use brighter::config::{Key, Section};
//!
//! # fn main() -> Result<(), brighter::config::ConfigErrors> {
//! let config = brighter::config::loader()
//!     .section(Section::new("shop", [Key::text("title", "what the page is called").default("A shop")]))
//!     .default_of("sweeper.interval", "500ms")
//!     .environment()
//!     .load()?;
//! assert_eq!(config.text("shop", "title"), Some("A shop"));
//! println!("{config}"); // every setting, and where it comes from; secrets do not show
//! # Ok(())
//! # }
//! ```
//!
//! An adapter declares its own [`Section`] and reads its [`Table`] in a function of its own, such as
//! `RabbitMqBuilder::from_config`. [Configuration](https://github.com/brighter-rs/brighter/blob/main/docs/book/src/reference/configuration-keys.md)
//! lists every setting.

mod strictness;

pub use brighter_config::{
    Config, ConfigError, ConfigErrors, Key, Loader, Origin, Problem, Secret, Section, Table,
};

pub(crate) use strictness::{OwnNames, Stranger, Strictness};

use crate::policy::PolicyRegistry;
use crate::processor::{Archiver, HealthOptions, Sweeper};
use crate::subscription::SubscriptionSettings;

/// Makes a loader that knows every section of brighter, and of the adapters whose features are on. It reads nothing
/// yet.
///
/// Add the sections of the application, and of other adapters, by [`Loader::section`].
pub fn loader() -> Loader {
    let loader = Loader::new().section(Strictness::section());
    #[cfg(feature = "rabbitmq")]
    let loader = loader.section(brighter_rabbitmq::RabbitMqBuilder::section());
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
    let loader = loader
        .section(brighter_sql::store::OutboxOptions::section())
        .section(brighter_sql::store::InboxOptions::section());
    let loader = loader.section(Sweeper::section()).section(Archiver::section());
    #[cfg(feature = "sqlite-broker")]
    let loader = loader.section(brighter_sql::broker::sqlite::SqliteBrokerOptions::section());
    let loader = loader.section(crate::dispatcher::configure::section());
    #[cfg(feature = "control")]
    let loader = loader.section(crate::dispatcher::ControlSecret::section());
    loader
        .section(HealthOptions::section())
        .section(SubscriptionSettings::section())
        .section(PolicyRegistry::section())
}

/// Reads the variables of the environment, and the file that `BRIGHTER_CONFIG` names if it is set.
///
/// # Errors
/// Returns everything that is wrong, all at once, each with its file and line or its variable.
pub fn load() -> Result<Config, ConfigErrors> {
    loader().environment().load()
}
