//! Settings that an operator changes without changing the program: from a file and from environment variables.
//!
//! An application uses this crate as `brighter::config`, with the feature `config`. An adapter uses it to declare its
//! [`Section`] and to read its [`Table`].
//!
//! A file overrides the values of the program, and variables override both. Every value records its origin. So all
//! mistakes are reported at once, each with its file and line or its variable, and [`Config`] can show every value and
//! its origin.
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
//! The name of a setting's variable consists of `BRIGHTER`, its section, the name of its table if there is one, and its
//! key: `BRIGHTER_SWEEPER_INTERVAL`, `BRIGHTER_SUBSCRIPTIONS_TASK_REMINDERS_PERFORMERS`. A secret may be in a file of
//! its own, which `url_file` or `BRIGHTER_RABBITMQ_URL_FILE` names.
//! [Configuration](https://github.com/brighter-rs/brighter/blob/main/docs/book/src/reference/configuration-keys.md) lists every
//! setting.

mod check;
mod config;
mod error;
mod files;
mod key;
mod loader;
mod names;
mod nearest;
mod origin;
mod print;
mod raw;
mod secret;
mod secret_file;
mod section;
mod service_links;
mod settings;
mod table;
mod text_file;
mod time;
mod toml;
mod value;
mod variables;
mod yaml;

pub use config::Config;
pub use error::{ConfigError, ConfigErrors, Problem};
pub use key::Key;
pub use loader::Loader;
pub use origin::Origin;
pub use secret::Secret;
pub use section::Section;
pub use table::Table;
