//! What a configuration changes of a processor.

use super::registry::Registry;
use super::{Archiver, BuildError, HealthOptions, Sweeper};
use crate::policy::PolicyRegistry;
use brighter_config::POLICIES;
use brighter_config::{Config, Entry, nearest};

/// A configuration that was taken, with the names of the policies that there were before.
pub(super) struct Configured {
    config: Config,
    policies: Vec<String>,
}

impl Configured {
    pub(super) fn take(
        config: Config,
        policies: &mut PolicyRegistry,
        sweeper: &mut Option<Sweeper>,
        without_sweeper: &mut bool,
    ) -> Self {
        let names = policies.names().map(str::to_owned).collect();
        *policies = std::mem::replace(policies, PolicyRegistry::empty()).configure(&config);
        if let Some(entry) = config.entry("sweeper") {
            *sweeper = Some(sweeper.take().unwrap_or_default().configure(entry));
            if let Some(enabled) = entry.flag("enabled") {
                *without_sweeper = !enabled;
            }
        }
        Self {
            config,
            policies: names,
        }
    }

    /// Changes the archiver, or makes one.
    pub(super) fn archiver(&self, archiver: &mut Option<Archiver>, errors: &mut Vec<BuildError>) {
        match Archiver::configure(archiver.take(), &self.config) {
            Ok(configured) => *archiver = configured,
            Err(error) => errors.push(error),
        }
    }

    /// A policy that no handler names is a slip; but not where no handler names any, for several programs may share
    /// a file.
    pub(super) fn check(&self, registry: &Registry, errors: &mut Vec<BuildError>) {
        let steps = || registry.descriptions().flat_map(|pipeline| &pipeline.steps);
        let mut named: Vec<_> = steps()
            .filter(|step| step.attribute == "use_policy")
            .filter_map(|step| Some(step.detail.split_once(": ")?.0))
            .collect();
        if named.is_empty() {
            return;
        }
        named.extend(self.policies.iter().map(String::as_str));
        for entry in self.config.entries_of(POLICIES) {
            if !named.iter().any(|name| self.config.is_named(entry, name)) {
                errors.push(BuildError::UnknownPolicy {
                    policy: entry.name.clone(),
                    origin: entry.origin.to_string(),
                    nearest: nearest(&entry.name, named.iter().copied()),
                });
            }
        }
    }
}

impl Archiver {
    /// What the configuration makes of the program's own, if there is one.
    ///
    /// # Errors
    /// Nobody says how old a message has to be.
    pub(super) fn configure(own: Option<Self>, config: &Config) -> Result<Option<Self>, BuildError> {
        let Some(entry) = config.entry("archiver") else {
            return Ok(own);
        };
        let mut archiver = match (entry.time_or_none("after"), own) {
            (Some(None), _) => return Ok(None),
            (Some(Some(age)), own) => {
                let mut archiver = own.unwrap_or_else(|| Self::delete_after(age));
                archiver.what.dispatched = Some(age);
                archiver
            }
            (None, Some(own)) => own,
            (None, None) => {
                let origin = entry.origin.to_string();
                return Err(BuildError::ArchiverWithoutAge { origin });
            }
        };
        archiver.what.keep = entry.flag("move").unwrap_or(archiver.what.keep);
        archiver.what.dead = entry.time_or_none("dead_after").unwrap_or(archiver.what.dead);
        archiver.what.limit = entry.size("batch").unwrap_or(archiver.what.limit);
        archiver.interval = entry.time("interval").unwrap_or(archiver.interval);
        Ok(Some(archiver))
    }
}

impl HealthOptions {
    /// The same, but for what is said here.
    pub(super) fn configure(self, config: &Config) -> Self {
        let Some(entry) = config.entry("health") else {
            return self;
        };
        Self {
            oldest: entry.time("oldest").unwrap_or(self.oldest),
            deadline: entry.time("deadline").unwrap_or(self.deadline),
            fresh_for: entry.time("fresh_for").unwrap_or(self.fresh_for),
        }
    }
}

impl Sweeper {
    /// The same, but for what is said here.
    fn configure(self, entry: &Entry) -> Self {
        let interval = entry.time("interval").unwrap_or(self.interval);
        let min_age = entry.time("min_age").unwrap_or(self.min_age);
        let batch = entry.size("batch").unwrap_or(self.batch);
        let lease = entry.time("lease").unwrap_or(self.lease);
        let attempts = entry.small("attempts").unwrap_or(self.attempts);
        let sweeper = self.interval(interval).min_age(min_age);
        sweeper.batch(batch).lease(lease).attempts(attempts)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use brighter_config::SCHEMA;

    #[test]
    fn every_key_of_health_changes_it_and_what_the_table_says_are_the_defaults() {
        let known = SCHEMA.iter().find(|known| known.name == "health").unwrap();
        let plain = HealthOptions::default();
        for key in known.keys.iter() {
            let read = |value| {
                let config = Config::loader().set("test", format!("health.{}", key.name), value);
                plain.configure(&config.load().unwrap())
            };
            assert_ne!(read("7s"), plain, "{}", key.name);
            assert_eq!(read(key.default.unwrap()), plain, "{}", key.name);
        }
    }

    #[test]
    fn every_key_of_the_archiver_changes_it_and_what_the_table_says_are_the_defaults() {
        let known = SCHEMA.iter().find(|known| known.name == "archiver").unwrap();
        let own = || Some(Archiver::delete_after(Duration::from_secs(60)));
        let read = |own, key: &str, value: &str| {
            let config = Config::loader().set("test", format!("archiver.{key}"), value);
            Archiver::configure(own, &config.load().unwrap())
        };
        for key in known.keys.iter() {
            let value = match key.name {
                "move" => "true",
                "batch" => "7",
                _ => "7s",
            };
            assert_ne!(read(own(), key.name, value).unwrap(), own(), "{}", key.name);
            if let Some(default) = key.default {
                assert_eq!(read(own(), key.name, default).unwrap(), own(), "{}", key.name);
            }
        }
        assert_eq!(read(own(), "after", "never").unwrap(), None);
        assert_eq!(read(None, "after", "60s").unwrap(), own());
        let error = read(None, "batch", "7").unwrap_err();
        assert_eq!(
            error.to_string(),
            "test: nothing says how old a message has to be for the archiver: add `after = \"7d\"` to `[archiver]`"
        );
    }

    #[test]
    fn every_key_of_the_sweeper_changes_it_and_what_the_table_says_are_the_defaults() {
        let known = SCHEMA.iter().find(|known| known.name == "sweeper").unwrap();
        let read = |key: &str, value: &str| {
            let config = Config::loader().set("test", format!("sweeper.{key}"), value);
            let config = config.load().unwrap();
            let (mut sweeper, mut without) = (None, false);
            Configured::take(config, &mut PolicyRegistry::default(), &mut sweeper, &mut without);
            (sweeper.unwrap(), without)
        };
        for key in known.keys.iter() {
            let value = match key.name {
                "enabled" => "false",
                "batch" | "attempts" => "7",
                _ => "7s",
            };
            let plain = (Sweeper::default(), false);
            assert_ne!(read(key.name, value), plain, "{}", key.name);
            assert_eq!(read(key.name, key.default.unwrap()), plain, "{}", key.name);
        }
    }
}
