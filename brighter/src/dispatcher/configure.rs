//! What a configuration changes of a dispatcher.

use std::time::Duration;

use super::check::UncheckedSubscription;
use crate::processor::BuildError;
use brighter_config::SUBSCRIPTIONS;
use brighter_config::{Config, Origin, nearest};

/// Takes what the configuration says, and finds the subscriptions that only one of the two knows.
pub(super) fn configure(
    config: &Config,
    candidates: &mut [UncheckedSubscription],
    drain: &mut Duration,
    errors: &mut Vec<BuildError>,
) {
    if let Some(time) = config.entry("dispatcher").and_then(|entry| entry.time("drain")) {
        *drain = time;
    }
    // A variable may be about one of many; whoever writes a file lists them all.
    let is_in_file = |origin: &Origin| matches!(origin, Origin::File { .. });
    let listed = config
        .entries_of(SUBSCRIPTIONS)
        .any(|entry| is_in_file(&entry.origin));
    for candidate in candidates.iter_mut() {
        let is_known = candidate.settings.configure(config);
        if listed && !is_known {
            errors.push(BuildError::NotConfigured {
                subscription: candidate.settings.name.clone(),
            });
        }
    }
    for entry in config.entries_of(SUBSCRIPTIONS) {
        let names = || {
            candidates
                .iter()
                .map(|candidate| candidate.settings.name.as_str())
        };
        if !names().any(|name| config.is_named(entry, name)) {
            errors.push(BuildError::UnknownSubscription {
                name: entry.name.clone(),
                origin: entry.origin.to_string(),
                nearest: nearest(&entry.name, names()),
                known: names().collect::<Vec<_>>().join(", "),
            });
        }
    }
}
