//! What a configuration changes of a [`Retry`].

use std::time::Duration;

use super::{JITTER, Retry, RetryBudget};
use crate::policy::delay::Delay;
use brighter_config::Entry;

impl Retry {
    /// The same, but for what is said here.
    pub(in crate::policy) fn configure(mut self, entry: &Entry) -> Self {
        if let Some(attempts) = entry.small("attempts") {
            self.attempts = attempts;
        }
        let (word, first, longest) = match self.delay {
            Delay::Fixed { delay, .. } => ("fixed", delay, LONGEST),
            Delay::Exponential { first, limit, .. } => ("exponential", first, limit),
            Delay::Decorrelated { first, limit } => ("decorrelated", first, limit),
        };
        let first = entry.time("first").unwrap_or(first);
        let longest = entry.time("longest").unwrap_or(longest);
        if let Some(share) = entry.share("jitter") {
            self = self.jitter(share);
        }
        self = match entry.text("wait").unwrap_or(word) {
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
        let (share, per_second) = (entry.share("budget"), entry.small("budget_per_second"));
        if share.is_some() || per_second.is_some() {
            self = self.budget(RetryBudget::new(share.unwrap_or(0.2), per_second.unwrap_or(10)));
        }
        self
    }
}

/// As [`Retry::attempts`] has it.
const LONGEST: Duration = Duration::from_secs(10);
