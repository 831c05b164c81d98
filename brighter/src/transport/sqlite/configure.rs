//! What a configuration says of a broker in a file.

use super::SqliteBrokerOptions;
use crate::config::Config;

impl Config {
    /// The options of a broker in a file, as the section `sqlite_broker` has them.
    ///
    /// ```
    /// use brighter::config::Config;
    ///
    /// # fn main() -> Result<(), brighter::config::ConfigErrors> {
    /// let config = Config::loader()
    ///     .variables([("BRIGHTER_SQLITE_BROKER_LEASE", "5s")])
    ///     .load()?;
    /// let options = config.sqlite_broker(); // for SqliteBroker::open_with(path, &options)
    /// # let _ = options;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sqlite_broker(&self) -> SqliteBrokerOptions {
        let mut options = SqliteBrokerOptions::default();
        let Some(entry) = self.entry("sqlite_broker") else {
            return options;
        };
        if let Some(lease) = entry.time("lease") {
            options = options.lease(lease);
        }
        if let Some(bytes) = entry.count("size_limit") {
            options = options.size_limit(bytes);
        }
        if let Some(time) = entry.time("confirm_within") {
            options = options.confirm_within(time);
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
        let known = SCHEMA.iter().find(|known| known.name == "sqlite_broker").unwrap();
        let read = |key: &str, value: &str| {
            let config = Config::loader().set("test", format!("sqlite_broker.{key}"), value);
            config.load().unwrap().sqlite_broker()
        };
        let plain = SqliteBrokerOptions::default();
        for key in known.keys.iter() {
            let value = if key.name == "size_limit" { "7" } else { "7s" };
            assert_ne!(read(key.name, value), plain, "{}", key.name);
            if let Some(default) = key.default {
                assert_eq!(read(key.name, default), plain, "{}", key.name);
            }
        }
    }
}
