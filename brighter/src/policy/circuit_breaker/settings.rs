//! What a [`CircuitBreaker`](super::CircuitBreaker) is told when it is made.

use std::fmt;
use std::time::Duration;

use crate::policy::share::Share;
use brighter_core::error::HandlerError;

/// Which calls a failure rate is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlidingWindow {
    /// The last this many (0 is taken for 1). It holds one outcome for each.
    Calls(u32),
    /// Those that ended within this long. It moves on in tenths of its length, and takes the same memory
    /// however many there are.
    Time(Duration),
}

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) trips: Trips,
    pub(super) minimum_calls: u32,
    pub(super) open_for: Duration,
    pub(super) jitter: f64,
    pub(super) probes: u32,
    pub(super) successes: u32,
    pub(super) when: Option<fn(&HandlerError) -> bool>,
}

/// What opens it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trips {
    Consecutive(u32),
    Rate { rate: Share, window: SlidingWindow },
}

impl Settings {
    pub(super) fn new(trips: Trips, open_for: Duration) -> Self {
        Self {
            trips,
            minimum_calls: 10,
            open_for,
            jitter: 0.0,
            probes: 1,
            successes: 1,
            when: None,
        }
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("circuit breaker, opens ")?;
        let minimum = self.minimum_calls;
        match self.trips {
            Trips::Consecutive(failures) => write!(f, "after {failures} failures in a row")?,
            Trips::Rate {
                rate,
                window: SlidingWindow::Calls(calls),
            } => {
                let minimum = minimum.min(calls);
                write!(
                    f,
                    "when {rate} of the last {calls} calls failed, of {minimum} at least,"
                )?;
            }
            Trips::Rate {
                rate,
                window: SlidingWindow::Time(time),
            } => write!(
                f,
                "when {rate} of the calls within {time:?} failed, of {minimum} at least,"
            )?,
        }
        let about = if self.jitter > 0.0 { "about " } else { "" };
        write!(f, " for {about}{:?}", self.open_for)?;
        if self.probes > 1 {
            write!(f, ", {} probes at a time", self.probes)?;
        }
        if self.successes > 1 {
            write!(f, ", closes after {} successes", self.successes)?;
        }
        if self.when.is_some() {
            f.write_str(", counts some errors only")?;
        }
        Ok(())
    }
}
