//! What a configuration says of outbox and inbox.

use super::{InboxOptions, OutboxOptions};
use crate::config::Config;

impl Config {
    /// The options of an outbox in a database, as the section `outbox` has them.
    #[must_use]
    pub fn outbox(&self) -> OutboxOptions {
        let mut options = OutboxOptions::default();
        let Some(entry) = self.entry("outbox") else {
            return options;
        };
        if let Some(table) = entry.text("table") {
            options = options.table(table);
        }
        if let Some(limit) = entry.count("limit") {
            options = options.limit(limit);
        }
        options
    }

    /// The options of an inbox in a database, as the section `inbox` has them.
    #[must_use]
    pub fn inbox(&self) -> InboxOptions {
        let mut options = InboxOptions::default();
        let Some(entry) = self.entry("inbox") else {
            return options;
        };
        if let Some(table) = entry.text("table") {
            options = options.table(table);
        }
        if let Some(retention) = entry.time("retention") {
            options = options.retention(retention);
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::SCHEMA;

    #[test]
    fn every_key_changes_the_options_and_what_the_table_says_are_the_defaults() {
        for section in ["outbox", "inbox"] {
            let known = SCHEMA.iter().find(|known| known.name == section).unwrap();
            let shown = |config: &Config| format!("{:?} {:?}", config.outbox(), config.inbox());
            let plain = shown(&Config::loader().load().unwrap());
            for key in known.keys.iter() {
                let path = format!("{section}.{}", key.name);
                let value = match key.name {
                    "table" => "another",
                    "retention" => "7s",
                    _ => "7",
                };
                let config = Config::loader().set("test", path.clone(), value).load().unwrap();
                assert_ne!(shown(&config), plain, "{path}");
                if let Some(default) = key.default {
                    let config = Config::loader().set("test", path, default).load().unwrap();
                    assert_eq!(shown(&config), plain);
                }
            }
        }
    }
}
