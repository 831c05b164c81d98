//! What a configuration says of a broker in a file.

use super::SqliteBrokerOptions;
use brighter_config::Config;

impl SqliteBrokerOptions {
    /// The options of a broker in a file, as the section `sqlite_broker` has them.
    ///
    /// ```
    /// use brighter::config::Config;
    /// use brighter::transport::sqlite::SqliteBrokerOptions;
    ///
    /// # fn main() -> Result<(), brighter::config::ConfigErrors> {
    /// let config = Config::loader()
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
        let Some(entry) = config.entry("sqlite_broker") else {
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
    use brighter_config::SCHEMA;

    #[test]
    fn every_key_changes_the_options_and_what_the_table_says_are_the_defaults() {
        let known = SCHEMA.iter().find(|known| known.name == "sqlite_broker").unwrap();
        let read = |key: &str, value: &str| {
            let config = Config::loader().set("test", format!("sqlite_broker.{key}"), value);
            SqliteBrokerOptions::from_config(&config.load().unwrap())
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
