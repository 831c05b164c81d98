//! What a configuration changes of a [`Retry`].

use std::time::Duration;

use super::{JITTER, Retry, RetryBudget};
use crate::policy::delay::Delay;
use brighter_config::{Key, Table};

impl Retry {
    /// The keys of a policy that is a retry.
    pub(in crate::policy) fn keys() -> impl Iterator<Item = Key> {
        let most = u64::from(u32::MAX);
        [
            Key::count("attempts", 1..=most, "how many attempts there are in all").documented_default("4"),
            Key::one_of(
                "wait",
                &["fixed", "exponential", "decorrelated"],
                "how the waits between them grow",
            )
            .documented_default("exponential"),
            Key::time(
                "first_delay",
                Duration::ZERO..,
                "the first wait; each, if they are fixed",
            )
            .documented_default("50ms"),
            Key::time("longest_delay", Duration::ZERO.., "the longest wait")
                .documented_default("10s")
                .excludes_word("wait", "fixed", "fixed waits do not grow"),
            Key::share("budget", 0.0..=1000.0, "retries for each call at most, over all")
                .documented_default("0.2"),
            Key::count("budget_per_second", 0..=most, "retries a second besides").documented_default("10"),
        ]
        .into_iter()
    }

    /// Applies the settings of a table.
    pub(in crate::policy) fn configure(mut self, table: &Table<'_>) -> Self {
        if let Some(attempts) = table.count_u32("attempts") {
            self.attempts = attempts;
        }
        let (word, first, longest) = match self.delay {
            Delay::Fixed { delay, .. } => ("fixed", delay, LONGEST),
            Delay::Exponential { first, limit, .. } => ("exponential", first, limit),
            Delay::Decorrelated { first, limit } => ("decorrelated", first, limit),
        };
        let first = table.time("first_delay").unwrap_or(first);
        let longest = table.time("longest_delay").unwrap_or(longest);
        if let Some(share) = table.share("jitter") {
            self = self.jitter(share);
        }
        self = match table.text("wait").unwrap_or(word) {
            "fixed" => self.fixed(first),
            "decorrelated" => self.decorrelated(first, longest),
            // What was fixed had none.
            _ if word == "fixed" && self.jitter.is_none() => {
                let jitter = JITTER;
                self.delay = Delay::Exponential {
                    first,
                    limit: longest,
                    jitter,
                };
                self
            }
            _ => self.exponential(first, longest),
        };
        let (share, per_second) = (table.share("budget"), table.count_u32("budget_per_second"));
        if share.is_some() || per_second.is_some() {
            self = self.budget(RetryBudget::new(share.unwrap_or(0.2), per_second.unwrap_or(10)));
        }
        self
    }
}

/// The delay of [`Retry::attempts`].
const LONGEST: Duration = Duration::from_secs(10);
