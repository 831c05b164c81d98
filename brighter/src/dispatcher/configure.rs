//! What a configuration changes of a dispatcher.

use std::time::Duration;

use super::check::UncheckedSubscription;
use crate::processor::BuildError;
use crate::subscription::SubscriptionSettings;
use brighter_config::{Config, Key, Origin, Section};

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
    // A variable may set one of many subscriptions; a file that names one names them all.
    let is_in_file = |origin: &Origin| matches!(origin, Origin::File { .. });
    let listed = config
        .tables(SubscriptionSettings::SECTION)
        .any(|table| is_in_file(table.origin()));
    for candidate in candidates.iter_mut() {
        let is_known = candidate.settings.configure(config);
        if listed && !is_known {
            errors.push(BuildError::NotConfigured {
                subscription: candidate.settings.name.clone(),
            });
        }
    }
    for table in config.tables(SubscriptionSettings::SECTION) {
        let names = || {
            candidates
                .iter()
                .map(|candidate| candidate.settings.name.as_str())
        };
        if !names().any(|name| table.is_named(name)) {
            errors.push(BuildError::UnknownSubscription {
                name: table.name().to_owned(),
                origin: table.origin().to_string(),
                nearest: table.nearest_name(names()),
                known: names().collect::<Vec<_>>().join(", "),
            });
        }
    }
}
