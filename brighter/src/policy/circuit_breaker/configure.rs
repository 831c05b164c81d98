//! What a configuration changes of a [`CircuitBreaker`].

use std::time::Duration;

use super::CircuitBreaker;
use super::settings::{SlidingWindow, Trips};
use brighter_config::Entry;

/// The window of a rate that says none.
const WINDOW: Duration = Duration::from_secs(60);

impl CircuitBreaker {
    /// A breaker with a state of its own and the same settings, but for what is said here.
    pub(in crate::policy) fn configure(&self, entry: &Entry) -> Self {
        self.clone().with(|settings| {
            if let Some(failures) = entry.small("failures") {
                settings.trips = Trips::Consecutive(failures);
            }
            if let Some(rate) = entry.share("failure_rate") {
                let known = match settings.trips {
                    Trips::Rate { window, .. } => window,
                    Trips::Consecutive(_) => SlidingWindow::Time(WINDOW),
                };
                let window = entry.time("window").map(SlidingWindow::Time);
                let calls = entry.small("window_calls").map(SlidingWindow::Calls);
                settings.trips = Trips::Rate {
                    rate,
                    window: window.or(calls).unwrap_or(known),
                };
            }
            settings.minimum_calls = entry.small("minimum_calls").unwrap_or(settings.minimum_calls);
            settings.open_for = entry.time("open_for").unwrap_or(settings.open_for);
            settings.probes = entry.small("probes").unwrap_or(settings.probes);
            settings.successes = entry.small("closes_after").unwrap_or(settings.successes);
            settings.jitter = entry.share("jitter").unwrap_or(settings.jitter);
        })
    }
}
