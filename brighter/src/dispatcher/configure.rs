//! What a configuration changes of a dispatcher.

use std::time::Duration;

use super::check::UncheckedSubscription;
use crate::config::{OwnNames, Stranger, Strictness};
use crate::processor::BuildError;
use crate::subscription::SubscriptionSettings;
use brighter_config::{Config, Key, Section};

const SECTION: &str = "dispatcher";

/// The section `dispatcher`.
pub(crate) fn section() -> Section {
    let drain = Key::time(
        "drain_timeout",
        Duration::ZERO..,
        "how long handlers have to finish when the dispatcher ends",
    );
    Section::new(SECTION, [drain.documented_default("20s")])
}

/// Takes what the configuration says, and finds the subscriptions that only one of the two knows.
pub(super) fn configure(
    config: &Config,
    candidates: &mut [UncheckedSubscription],
    drain: &mut Duration,
    errors: &mut Vec<BuildError>,
) {
    if let Some(time) = config.time(SECTION, "drain_timeout") {
        *drain = time;
    }
    let strictness = Strictness::of(config);
    // A variable may set one of many subscriptions; a file lists them all.
    let listed = strictness == Strictness::Exact
        && config
            .tables(SubscriptionSettings::SECTION)
            .any(|table| table.origin().is_file());
    for candidate in candidates.iter_mut() {
        let is_known = candidate.settings.configure(config);
        if listed && !is_known {
            errors.push(BuildError::NotConfigured {
                subscription: candidate.settings.name.clone(),
            });
        }
    }
    let names = candidates
        .iter()
        .map(|candidate| candidate.settings.name.as_str());
    let mut own = OwnNames::new(config, SubscriptionSettings::SECTION, names);
    let mut of_others = Vec::new();
    for table in config.tables(SubscriptionSettings::SECTION) {
        if own.has(&table) {
            continue;
        }
        match strictness.judge(&table, &mut own) {
            Stranger::Mistake { meant } => errors.push(BuildError::UnknownSubscription {
                name: table.name().to_owned(),
                origin: table.origin().to_string(),
                nearest: meant,
                known: own.told(),
                may_be_of_others: strictness == Strictness::Shared,
            }),
            Stranger::OfOthers => of_others.push(table.name()),
        }
    }
    if !of_others.is_empty() {
        let count = of_others.len();
        of_others.truncate(MOST_TOLD);
        tracing::info!(
            count,
            subscriptions = ?of_others,
            "the configuration has subscriptions of other programs"
        );
    }
}

/// So many names are in the log at most.
const MOST_TOLD: usize = 20;
