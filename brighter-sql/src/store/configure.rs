//! The configuration sections of the outbox and the inbox.

use std::time::Duration;

use super::{InboxOptions, OutboxOptions};
use brighter_config::{Config, Key, Section};

/// The help text of the key `schema`.
const SCHEMA: &str =
    "the schema of PostgreSQL, or database of MySQL, that has the table; else that of the connection";

/// The help text of the key `session`.
const SESSION: &str = "whether connections keep what they are told; not behind PgBouncer in transaction mode";

impl OutboxOptions {
    /// Returns the section `outbox`, with every key that [`from_config`](Self::from_config) reads.
    /// `brighter::config::loader()` includes it.
    pub fn section() -> Section {
        Section::new(
            "outbox",
            [
                Key::table_name("table", "the table of the messages").documented_default("brighter_outbox"),
                Key::text("schema", SCHEMA),
                Key::flag("session", SESSION).documented_default("true"),
                Key::flag(
                    "archive",
                    "whether the table of the archive is made when the outbox is opened",
                )
                .documented_default("false"),
                Key::count(
                    "limit",
                    1..,
                    "how many messages may be outstanding; else as many as the disk holds",
                ),
            ],
        )
    }

    /// Returns the options from the section `outbox` of a configuration.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        let mut options = OutboxOptions::default();
        let Some(found) = config.table("outbox") else {
            return options;
        };
        if let Some(table) = found.text("table") {
            options = options.table(table);
        }
        if found.flag("session") == Some(false) {
            options = options.without_session();
        }
        if let Some(schema) = found.text("schema") {
            options = options.schema(schema);
        }
        if found.flag("archive") == Some(true) {
            options = options.archive();
        }
        if let Some(limit) = found.count("limit") {
            options = options.limit(limit);
        }
        options
    }
}

impl InboxOptions {
    /// Returns the section `inbox`, with every key that [`from_config`](Self::from_config) reads.
    /// `brighter::config::loader()` includes it.
    pub fn section() -> Section {
        Section::new(
            "inbox",
            [
                Key::table_name("table", "the table of what was handled")
                    .documented_default("brighter_inbox"),
                Key::text("schema", SCHEMA),
                Key::flag("session", SESSION).documented_default("true"),
                Key::time(
                    "retention",
                    Duration::from_secs(1)..,
                    "how long what was handled is remembered",
                )
                .documented_default("7d"),
            ],
        )
    }

    /// Returns the options from the section `inbox` of a configuration.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        let mut options = InboxOptions::default();
        let Some(found) = config.table("inbox") else {
            return options;
        };
        if let Some(table) = found.text("table") {
            options = options.table(table);
        }
        if found.flag("session") == Some(false) {
            options = options.without_session();
        }
        if let Some(schema) = found.text("schema") {
            options = options.schema(schema);
        }
        if let Some(retention) = found.time("retention") {
            options = options.retention(retention);
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brighter_config::Loader;

    #[test]
    fn every_key_changes_its_option_and_defaults_match() {
        let loader = || {
            let loader = Loader::new().section(OutboxOptions::section());
            loader.section(InboxOptions::section())
        };
        for section in [OutboxOptions::section(), InboxOptions::section()] {
            let shown = |config: &Config| {
                format!(
                    "{:?} {:?}",
                    OutboxOptions::from_config(config),
                    InboxOptions::from_config(config)
                )
            };
            let plain = shown(&loader().load().unwrap());
            for key in section.keys() {
                let path = format!("{}.{}", section.name(), key.name());
                let value = match key.name() {
                    "table" | "schema" => "another",
                    "session" => "false",
                    "archive" => "true",
                    "retention" => "7s",
                    _ => "7",
                };
                let config = loader().set("test", path.clone(), value).load().unwrap();
                assert_ne!(shown(&config), plain, "{path}");
                if let Some(default) = key.default_text() {
                    let config = loader().set("test", path, default).load().unwrap();
                    assert_eq!(shown(&config), plain);
                }
            }
        }
    }
}
