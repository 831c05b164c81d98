//! What a configuration changes of a processor.

use std::time::Duration;

use super::registry::Registry;
use super::{Archiver, BuildError, HealthOptions, Sweeper};
use crate::config::{OwnNames, Stranger, Strictness};
use crate::policy::PolicyRegistry;
use brighter_config::{Config, Key, Section, Table};

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
        if let Some(table) = config.table("sweeper") {
            *sweeper = Some(sweeper.take().unwrap_or_default().configure(&table));
            if let Some(enabled) = table.flag("enabled") {
                *without_sweeper = !enabled;
            }
        }
        Self {
            config,
            policies: names,
        }
    }

    /// Changes the archiver, makes one, or leaves what was sent where it is.
    pub(super) fn archiver(
        &self,
        archiver: &mut Option<Archiver>,
        without_archiver: &mut bool,
        errors: &mut Vec<BuildError>,
    ) {
        match Archiver::configure(archiver.take(), &self.config) {
            Ok(configured) => {
                *without_archiver |= configured.is_none() && self.config.table("archiver").is_some();
                *archiver = configured;
            }
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
        let strictness = Strictness::of(&self.config);
        let mut own = OwnNames::new(&self.config, PolicyRegistry::SECTION, named);
        for table in self.config.tables(PolicyRegistry::SECTION) {
            if own.has(&table) {
                continue;
            }
            match strictness.judge(&table, &mut own) {
                Stranger::Mistake { meant } => errors.push(BuildError::UnknownPolicy {
                    policy: table.name().to_owned(),
                    origin: table.origin().to_string(),
                    nearest: meant,
                    may_be_of_others: strictness == Strictness::Shared,
                }),
                Stranger::OfOthers => {
                    tracing::info!(
                        policy = table.name(),
                        "the configuration has a policy of another program"
                    );
                }
            }
        }
    }
}

impl Archiver {
    /// The section `archiver`.
    pub(crate) fn section() -> Section {
        let second = Duration::from_secs(1);
        Section::new("archiver", [
            Key::time_or(
                "after",
                second..,
                "never",
                "how long what was sent stays in the outbox; else as long as the program says, or a day longer than the inbox remembers",
            ),
            Key::flag(
                "move",
                "whether it is moved to the table called like the outbox's with `_archive` after it, or deleted",
            )
            .documented_default("false"),
            Key::time_or("dead_after", second.., "never", "how long the dead stay").documented_default("never"),
            Key::count("batch", 1..=100_000, "how many are taken at once").documented_default("1000"),
            Key::time("interval", Duration::from_millis(100).., "how often it looks").documented_default("1m"),
        ])
    }

    /// Returns the program's own value as the configuration changes it, if there is one.
    ///
    /// # Errors
    /// Nobody says how old a message has to be.
    pub(super) fn configure(own: Option<Self>, config: &Config) -> Result<Option<Self>, BuildError> {
        let Some(table) = config.table("archiver") else {
            return Ok(own);
        };
        let mut archiver = match (table.time_or_none("after"), own) {
            (Some(None), _) => return Ok(None),
            (Some(Some(age)), own) => {
                let mut archiver = own.unwrap_or_else(|| Self::delete_after(age));
                archiver.what.dispatched = Some(age);
                archiver
            }
            (None, Some(own)) => own,
            (None, None) => {
                let origin = table.origin().to_string();
                return Err(BuildError::ArchiverWithoutAge { origin });
            }
        };
        archiver.what.keep = table.flag("move").unwrap_or(archiver.what.keep);
        archiver.what.dead = table.time_or_none("dead_after").unwrap_or(archiver.what.dead);
        archiver.what.limit = table.count_usize("batch").unwrap_or(archiver.what.limit);
        archiver.interval = table.time("interval").unwrap_or(archiver.interval);
        Ok(Some(archiver))
    }
}

impl HealthOptions {
    /// The section `health`.
    pub(crate) fn section() -> Section {
        let millisecond = Duration::from_millis(1);
        Section::new(
            "health",
            [
                Key::time(
                    "max_age",
                    millisecond..,
                    "the outbox is stuck when a message waits for longer",
                )
                .documented_default("5m"),
                Key::time(
                    "check_timeout",
                    millisecond..,
                    "how long the outbox has to answer",
                )
                .documented_default("2s"),
                Key::time(
                    "check_interval",
                    Duration::ZERO..,
                    "how long an answer of the outbox is good for",
                )
                .documented_default("5s"),
            ],
        )
    }

    /// Applies the settings of the configuration.
    pub(super) fn configure(self, config: &Config) -> Self {
        let Some(table) = config.table("health") else {
            return self;
        };
        Self {
            max_age: table.time("max_age").unwrap_or(self.max_age),
            check_timeout: table.time("check_timeout").unwrap_or(self.check_timeout),
            check_interval: table.time("check_interval").unwrap_or(self.check_interval),
        }
    }
}

impl Sweeper {
    /// The section `sweeper`.
    pub(crate) fn section() -> Section {
        Section::new(
            "sweeper",
            [
                Key::flag("enabled", "whether this process sweeps the outbox").documented_default("true"),
                Key::time(
                    "interval",
                    Duration::from_millis(1)..,
                    "how often the outbox is looked at",
                )
                .documented_default("1s"),
                Key::time("min_age", Duration::ZERO.., "younger messages are left alone")
                    .documented_default("0s"),
                Key::count("batch", 1..=100_000, "how many messages are sent at once")
                    .documented_default("100"),
                Key::time(
                    "lease",
                    Duration::from_secs(1)..,
                    "how long messages are claimed for",
                )
                .documented_default("1m"),
                Key::count(
                    "attempts",
                    1..=u64::from(u32::MAX),
                    "how often the broker may refuse a message before it is dead",
                )
                .documented_default("100"),
            ],
        )
    }

    /// Applies the settings of a table.
    fn configure(self, table: &Table<'_>) -> Self {
        let interval = table.time("interval").unwrap_or(self.interval);
        let min_age = table.time("min_age").unwrap_or(self.min_age);
        let batch = table.count_usize("batch").unwrap_or(self.batch);
        let lease = table.time("lease").unwrap_or(self.lease);
        let attempts = table.count_u32("attempts").unwrap_or(self.attempts);
        let sweeper = self.interval(interval).min_age(min_age);
        sweeper.batch(batch).lease(lease).attempts(attempts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brighter_config::Loader;

    #[test]
    fn every_health_key_changes_its_setting_and_defaults_match() {
        let section = HealthOptions::section();
        let plain = HealthOptions::default();
        for key in section.keys() {
            let read = |value| {
                let loader = Loader::new().section(HealthOptions::section());
                let config = loader.set("test", format!("health.{}", key.name()), value);
                plain.configure(&config.load().unwrap())
            };
            assert_ne!(read("7s"), plain, "{}", key.name());
            assert_eq!(read(key.default_text().unwrap()), plain, "{}", key.name());
        }
    }

    #[test]
    fn every_archiver_key_changes_its_setting_and_defaults_match() {
        let section = Archiver::section();
        let own = || Some(Archiver::delete_after(Duration::from_secs(60)));
        let read = |own, key: &str, value: &str| {
            let loader = Loader::new().section(Archiver::section());
            let config = loader.set("test", format!("archiver.{key}"), value);
            Archiver::configure(own, &config.load().unwrap())
        };
        for key in section.keys() {
            let value = match key.name() {
                "move" => "true",
                "batch" => "7",
                _ => "7s",
            };
            assert_ne!(read(own(), key.name(), value).unwrap(), own(), "{}", key.name());
            if let Some(default) = key.default_text() {
                assert_eq!(read(own(), key.name(), default).unwrap(), own(), "{}", key.name());
            }
        }
        assert_eq!(read(own(), "after", "never").unwrap(), None);
        assert_eq!(read(None, "after", "60s").unwrap(), own());
        let error = read(None, "batch", "7").unwrap_err();
        assert_eq!(
            error.to_string(),
            "test: `[archiver]` lacks the age at which messages are archived: add `after = \"7d\"`"
        );
    }

    #[test]
    fn every_sweeper_key_changes_its_setting_and_defaults_match() {
        let section = Sweeper::section();
        let read = |key: &str, value: &str| {
            let loader = Loader::new().section(Sweeper::section());
            let config = loader.set("test", format!("sweeper.{key}"), value);
            let config = config.load().unwrap();
            let (mut sweeper, mut without) = (None, false);
            Configured::take(config, &mut PolicyRegistry::default(), &mut sweeper, &mut without);
            (sweeper.unwrap(), without)
        };
        for key in section.keys() {
            let value = match key.name() {
                "enabled" => "false",
                "batch" | "attempts" => "7",
                _ => "7s",
            };
            let plain = (Sweeper::default(), false);
            assert_ne!(read(key.name(), value), plain, "{}", key.name());
            assert_eq!(
                read(key.name(), key.default_text().unwrap()),
                plain,
                "{}",
                key.name()
            );
        }
    }
}
