//! How often the engine looks whether other processes have written.

use std::time::Duration;

use tokio::time::Instant;

/// A look takes some microseconds. While something happens it is worth one every few milliseconds; when nothing does,
/// five in a second cost less than a tenth of a millisecond in each, and nobody waits longer than that.
const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(200);

/// When to look next: soon after something has happened, and half as long again each time nothing has.
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

    /// Something has happened.
    pub(super) fn quicken(&mut self) {
        self.interval = SHORTEST;
        self.next = self.next.min(Instant::now() + SHORTEST);
    }

    /// Looked, and something had happened.
    pub(super) fn found(&mut self) {
        self.interval = SHORTEST;
        self.next = Instant::now() + SHORTEST;
    }

    /// Looked in vain.
    pub(super) fn slacken(&mut self) {
        self.next = Instant::now() + self.interval;
        self.interval = (self.interval * 3 / 2).min(LONGEST);
    }
}
