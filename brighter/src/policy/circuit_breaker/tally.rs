//! [`Tally`]: what became of the calls through a closed circuit.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::settings::{BreakerSettings, SlidingWindow, Trips, share};
use crate::policy::share::Share;
use crate::policy::time_window::TimeWindow;

/// The results of the calls through a closed circuit.
#[derive(Debug)]
pub(super) enum Tally {
    Consecutive { failures: u32, limit: u32 },
    Rate { of: Window, rate: Share, minimum: u64 },
}

#[derive(Debug)]
pub(super) enum Window {
    /// Whether each of the last calls failed, the oldest first.
    Calls {
        failed: VecDeque<bool>,
        failures: u64,
        length: usize,
    },
    /// All calls, and those that failed.
    Time(Box<TimeWindow>),
}

impl Tally {
    pub(super) fn new(settings: &BreakerSettings, now: Instant) -> Self {
        match settings.trips {
            Trips::Consecutive(limit) => Self::Consecutive { failures: 0, limit },
            Trips::Rate { rate, window } => {
                let (of, minimum) = match window {
                    SlidingWindow::Calls(calls) => {
                        let window = Window::Calls {
                            failed: VecDeque::new(),
                            failures: 0,
                            length: calls as usize,
                        };
                        (window, settings.minimum_calls.min(calls))
                    }
                    SlidingWindow::Time(time) => (
                        Window::Time(Box::new(TimeWindow::new(time, now))),
                        settings.minimum_calls,
                    ),
                };
                Self::Rate {
                    of,
                    rate: share(rate),
                    minimum: minimum.into(),
                }
            }
        }
    }

    /// Whether the success of a call, noted now, would change nothing.
    pub(super) fn forgets_successes(&self) -> bool {
        matches!(self, Self::Consecutive { failures: 0, .. })
    }

    /// Notes the end of a call; whether the circuit has to open.
    pub(super) fn note(&mut self, is_failure: bool, now: Instant) -> bool {
        match self {
            Self::Consecutive { failures, limit } => {
                *failures = if is_failure { *failures + 1 } else { 0 };
                failures >= limit
            }
            Self::Rate { of, rate, minimum } => {
                let (calls, failures) = of.note(is_failure, now);
                calls >= *minimum && rate.is_reached_by(failures, calls)
            }
        }
    }
}

impl Window {
    /// Notes the end of a call; how many there are, and how many of them failed.
    fn note(&mut self, is_failure: bool, now: Instant) -> (u64, u64) {
        match self {
            Self::Calls {
                failed,
                failures,
                length,
            } => {
                if failed.len() >= *length {
                    *failures -= u64::from(failed.pop_front().unwrap_or(false));
                }
                failed.push_back(is_failure);
                *failures += u64::from(is_failure);
                (failed.len() as u64, *failures)
            }
            Self::Time(window) => {
                let counts = window.now(now);
                counts.first += 1;
                counts.second += u64::from(is_failure);
                let sums = window.sums(now);
                (sums.first, sums.second)
            }
        }
    }
}
