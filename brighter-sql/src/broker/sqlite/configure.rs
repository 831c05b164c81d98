//! The configuration section of a broker in a file.

use std::time::Duration;

use super::SqliteBrokerOptions;
use brighter_config::{Config, Key, Section};

const SECTION: &str = "sqlite_broker";

impl SqliteBrokerOptions {
    /// Returns the section `sqlite_broker`, with every key that [`from_config`](Self::from_config) reads.
    /// `brighter::config::loader()` includes it.
    pub fn section() -> Section {
        Section::new(
            SECTION,
            [
                Key::time(
                    "lease",
                    Duration::from_millis(100)..,
                    "how long a process that says nothing is taken to be alive",
                )
                .documented_default("15s"),
                Key::count(
                    "size_limit",
                    1..,
                    "how many bytes the file may have before nothing more is published; else as many as the disk holds",
                ),
                Key::time(
                    "confirm_timeout",
                    Duration::from_millis(1)..,
                    "how long a publish may take",
                )
                .documented_default("30s"),
            ],
        )
    }

    /// Returns the options from the section `sqlite_broker` of a configuration.
    ///
    /// ```
    /// use brighter::transport::sqlite::SqliteBrokerOptions;
    ///
    /// # fn main() -> Result<(), brighter::config::ConfigErrors> {
    /// let config = brighter::config::loader()
    ///     .variables([("BRIGHTER_SQLITE_BROKER_LEASE", "5s")])
    ///     .load()?;
    /// let options = SqliteBrokerOptions::from_config(&config); // for SqliteBroker::open(path).options(options)
    /// # let _ = options;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        let mut options = SqliteBrokerOptions::default();
        let Some(table) = config.table(SECTION) else {
            return options;
        };
        if let Some(lease) = table.time("lease") {
            options = options.lease(lease);
        }
        if let Some(bytes) = table.count("size_limit") {
            options = options.size_limit(bytes);
        }
        if let Some(time) = table.time("confirm_timeout") {
            options = options.confirm_timeout(time);
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
        let section = SqliteBrokerOptions::section();
        let read = |key: &str, value: &str| {
            let loader = Loader::new().section(SqliteBrokerOptions::section());
            let config = loader.set("test", format!("sqlite_broker.{key}"), value);
            SqliteBrokerOptions::from_config(&config.load().unwrap())
        };
        let plain = SqliteBrokerOptions::default();
        for key in section.keys() {
            let value = if key.name() == "size_limit" { "7" } else { "7s" };
            assert_ne!(read(key.name(), value), plain, "{}", key.name());
            if let Some(default) = key.default_text() {
                assert_eq!(read(key.name(), default), plain, "{}", key.name());
            }
        }
    }
}
