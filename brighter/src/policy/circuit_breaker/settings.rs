//! What a [`CircuitBreaker`](super::CircuitBreaker) is told when it is made.

use std::fmt;
use std::time::Duration;

use crate::policy::delay;
use crate::policy::share::Share;
use brighter_core::error::{HandlerError, InvalidSetting};

/// Which calls a failure rate is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlidingWindow {
    /// The last this many. It holds one outcome for each.
    Calls(u32),
    /// The calls that ended within this time. The window moves in tenths of its length, and its memory does not grow
    /// with the number of calls.
    Time(Duration),
}

#[derive(Debug, Clone)]
pub(super) struct BreakerSettings {
    pub(super) trips: Trips,
    pub(super) minimum_calls: u32,
    pub(super) open_for: Duration,
    pub(super) jitter: f64,
    pub(super) probes: u32,
    pub(super) successes: u32,
    pub(super) when: Option<fn(&HandlerError) -> bool>,
}

/// The condition that opens the circuit.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trips {
    Consecutive(u32),
    Rate { rate: f64, window: SlidingWindow },
}

/// The smallest share that is told from none.
const LEAST_RATE: f64 = 0.000_001;

/// A failure rate as what it is compared with.
pub(super) fn share(rate: f64) -> Share {
    Share::new(rate, 1.0).above_zero()
}

impl BreakerSettings {
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

    pub(super) fn invalid(&self) -> Vec<InvalidSetting> {
        let (tripping, window) = match self.trips {
            Trips::Consecutive(failures) => (InvalidSetting::if_zero("consecutive", failures), None),
            Trips::Rate { rate, window } => {
                let is_rate = (LEAST_RATE..=1.0).contains(&rate);
                let window = match window {
                    SlidingWindow::Calls(calls) => InvalidSetting::if_zero("window", calls),
                    SlidingWindow::Time(time) => {
                        InvalidSetting::unless(!time.is_zero(), "window", "0s", "longer than 0s")
                    }
                };
                let rate = InvalidSetting::unless(is_rate, "failure_rate", rate, "between 0.000001 and 1");
                (rate, window)
            }
        };
        [
            tripping,
            window,
            InvalidSetting::if_zero("probes", self.probes),
            InvalidSetting::if_zero("closes_after", self.successes),
            delay::invalid_jitter(self.jitter),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl fmt::Display for BreakerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("circuit breaker, opens ")?;
        let minimum = self.minimum_calls;
        match self.trips {
            Trips::Consecutive(failures) => write!(f, "after {failures} failures in a row")?,
            Trips::Rate {
                rate,
                window: SlidingWindow::Calls(calls),
            } => {
                let rate = share(rate);
                let minimum = minimum.min(calls);
                write!(
                    f,
                    "when {rate} of the last {calls} calls failed, of {minimum} at least,"
                )?;
            }
            Trips::Rate {
                rate,
                window: SlidingWindow::Time(time),
            } => {
                let rate = share(rate);
                write!(
                    f,
                    "when {rate} of the calls within {time:?} failed, of {minimum} at least,"
                )?;
            }
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
