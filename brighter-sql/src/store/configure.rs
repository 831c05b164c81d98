//! What a configuration says of outbox and inbox.

use super::{InboxOptions, OutboxOptions};
use brighter_config::Config;

impl OutboxOptions {
    /// Reads the section `outbox` of a configuration.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        let mut options = OutboxOptions::default();
        let Some(entry) = config.entry("outbox") else {
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
}

impl InboxOptions {
    /// Reads the section `inbox` of a configuration.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        let mut options = InboxOptions::default();
        let Some(entry) = config.entry("inbox") else {
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
    use brighter_config::SCHEMA;

    #[test]
    fn every_key_changes_the_options_and_what_the_table_says_are_the_defaults() {
        for section in ["outbox", "inbox"] {
            let known = SCHEMA.iter().find(|known| known.name == section).unwrap();
            let shown = |config: &Config| {
                format!(
                    "{:?} {:?}",
                    OutboxOptions::from_config(config),
                    InboxOptions::from_config(config)
                )
            };
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
