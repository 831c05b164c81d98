//! [`Pace`]: how often the engine checks for changes by other processes.

use std::time::Duration;

use tokio::time::Instant;

/// A check takes some microseconds. Under load, one every few milliseconds pays off. When idle, five a second cost less
/// than a tenth of a millisecond in each second, and limit the latency.
const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(200);

/// The time of the next check: soon after activity, and half as long again after each check without any.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    next: Instant,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            interval: SHORTEST,
            next: Instant::now(),
        }
    }
}

impl Pace {
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    pub(super) fn is_due(&self) -> bool {
        self.next <= Instant::now()
    }

    /// Records activity.
    pub(super) fn quicken(&mut self) {
        self.interval = SHORTEST;
        self.next = self.next.min(Instant::now() + SHORTEST);
    }

    /// Records a check that found a change.
    pub(super) fn found(&mut self) {
        self.interval = SHORTEST;
        self.next = Instant::now() + SHORTEST;
    }

    /// Records a check that found no change.
    pub(super) fn slacken(&mut self) {
        self.next = Instant::now() + self.interval;
        self.interval = (self.interval * 3 / 2).min(LONGEST);
    }
}
