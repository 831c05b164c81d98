//! What a configuration changes of a [`CircuitBreaker`].

use std::time::Duration;

use super::CircuitBreaker;
use super::settings::{SlidingWindow, Trips};
use brighter_config::{Key, Table};

/// The window of a rate that says none.
const WINDOW: Duration = Duration::from_secs(60);

/// Why a window needs a rate.
const OF_A_RATE: &str = "only a rate has it";

impl CircuitBreaker {
    /// The keys of a policy that is a circuit breaker.
    pub(in crate::policy) fn keys() -> impl Iterator<Item = Key> {
        let most = u64::from(u32::MAX);
        [
            Key::count("failures", 1..=most, "opens after so many failures in a row")
                .documented_default("10"),
            Key::share(
                "failure_rate",
                0.000_001..=1.0,
                "or when this share of the calls failed",
            )
            .excludes("failures", "it opens by the one or by the other"),
            Key::time(
                "window",
                Duration::from_millis(100)..,
                "of the calls within this time",
            )
            .needs("failure_rate", OF_A_RATE),
            Key::count("window_calls", 1..=1_000_000, "or of so many last calls")
                .excludes("window", "a rate is of the one or of the other")
                .needs("failure_rate", OF_A_RATE),
            Key::count(
                "minimum_calls",
                0..=most,
                "says nothing before it has seen so many",
            )
            .documented_default("10"),
            Key::time(
                "open_timeout",
                Duration::from_millis(1)..,
                "how long it stays open",
            )
            .documented_default("5s"),
            Key::count("probes", 1..=most, "how many calls it tries at a time").documented_default("1"),
            Key::count("closes_after", 1..=most, "closes after so many successes").documented_default("1"),
        ]
        .into_iter()
    }

    /// A breaker with a state of its own and the same settings, but for what is said here.
    pub(in crate::policy) fn configure(&self, table: &Table<'_>) -> Self {
        self.clone().with(|settings| {
            if let Some(failures) = table.count_u32("failures") {
                settings.trips = Trips::Consecutive(failures);
            }
            if let Some(rate) = table.share("failure_rate") {
                let known = match settings.trips {
                    Trips::Rate { window, .. } => window,
                    Trips::Consecutive(_) => SlidingWindow::Time(WINDOW),
                };
                let window = table.time("window").map(SlidingWindow::Time);
                let calls = table.count_u32("window_calls").map(SlidingWindow::Calls);
                settings.trips = Trips::Rate {
                    rate,
                    window: window.or(calls).unwrap_or(known),
                };
            }
            settings.minimum_calls = table.count_u32("minimum_calls").unwrap_or(settings.minimum_calls);
            settings.open_for = table.time("open_timeout").unwrap_or(settings.open_for);
            settings.probes = table.count_u32("probes").unwrap_or(settings.probes);
            settings.successes = table.count_u32("closes_after").unwrap_or(settings.successes);
            settings.jitter = table.share("jitter").unwrap_or(settings.jitter);
        })
    }
}
