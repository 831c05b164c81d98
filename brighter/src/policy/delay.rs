//! How long to wait, and by how much at random. The only file that knows the `backoff` crate.

use std::fmt;
use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use brighter_core::error::InvalidSetting;

/// The waits between the attempts of one call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Delay {
    /// `delay · U(1 − jitter, 1 + jitter)`.
    Fixed { delay: Duration, jitter: f64 },
    /// The n-th wait is `min(first · 2ⁿ⁻¹, limit) · U(1 − jitter, 1 + jitter)`.
    Exponential {
        first: Duration,
        limit: Duration,
        jitter: f64,
    },
    /// Each wait is `min(limit, U(first, 3 · the one before))`; the one before the first is `first`.
    Decorrelated { first: Duration, limit: Duration },
}

/// Gives out one wait after another.
#[derive(Debug)]
pub(super) enum Delays {
    Fixed {
        delay: Duration,
        jitter: f64,
    },
    Exponential(ExponentialBackoff),
    Decorrelated {
        first: Duration,
        limit: Duration,
        previous: Duration,
    },
}

impl Delay {
    pub(super) fn delays(self) -> Delays {
        match self {
            Self::Fixed { delay, jitter } => Delays::Fixed { delay, jitter },
            Self::Exponential { first, limit, jitter } => {
                Delays::Exponential(exponential(first.min(limit), limit, 2.0, jitter))
            }
            Self::Decorrelated { first, limit } => Delays::Decorrelated {
                first,
                limit,
                previous: first,
            },
        }
    }
}

impl Delays {
    pub(super) fn next(&mut self) -> Duration {
        match self {
            Self::Fixed { delay, jitter } => spread(*delay, *jitter),
            // Without a limit in time it never says to stop.
            Self::Exponential(backoff) => backoff.next_backoff().unwrap_or(backoff.max_interval),
            Self::Decorrelated {
                first,
                limit,
                previous,
            } => {
                *previous = uniform(*first, previous.saturating_mul(3)).min(*limit);
                *previous
            }
        }
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed { delay, jitter } if *jitter > 0.0 => write!(f, "about {delay:?} apart"),
            Self::Fixed { delay, .. } => write!(f, "{delay:?} apart"),
            Self::Exponential { first, limit, jitter } => {
                let about = if *jitter > 0.0 { "about " } else { "" };
                write!(f, "waiting {about}{first:?} and doubling up to {limit:?}")
            }
            Self::Decorrelated { first, limit } => {
                write!(
                    f,
                    "waiting {first:?} or up to three times the wait before, up to {limit:?}"
                )
            }
        }
    }
}

/// This long, spread at random by this share of it either way.
pub(crate) fn spread(middle: Duration, share: f64) -> Duration {
    if middle.is_zero() || share <= 0.0 {
        return middle;
    }
    let mut once = exponential(middle, middle, 1.0, share);
    once.next_backoff().unwrap_or(middle)
}

/// A duration drawn evenly from this range.
fn uniform(low: Duration, high: Duration) -> Duration {
    let half = high.saturating_sub(low) / 2;
    let middle = low.saturating_add(half);
    if half.is_zero() {
        return low;
    }
    spread(middle, half.div_duration_f64(middle)).max(low)
}

fn exponential(first: Duration, limit: Duration, multiplier: f64, jitter: f64) -> ExponentialBackoff {
    ExponentialBackoff {
        current_interval: first,
        initial_interval: first,
        randomization_factor: jitter,
        multiplier,
        max_interval: limit,
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    }
}

/// The error of a jitter that is no share of a wait.
pub(super) fn invalid_jitter(share: f64) -> Option<InvalidSetting> {
    let is_allowed = (0.0..=1.0).contains(&share);
    InvalidSetting::unless(is_allowed, "jitter", share, "between 0 and 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn exponential_delays_double_with_jitter_up_to_the_limit() {
        for (jitter, share) in [(0.5, 2), (0.25, 4)] {
            let delay = Delay::Exponential {
                first: millis(100),
                limit: millis(300),
                jitter,
            };
            for _ in 0..100 {
                let mut delays = delay.delays();
                for middle in [100, 200, 300, 300].map(millis) {
                    let (wait, spread) = (delays.next(), middle / share);
                    // The crate draws from a range that is longer by a nanosecond.
                    let range = middle - spread..=middle + spread + Duration::from_nanos(1);
                    assert!(range.contains(&wait), "{wait:?} around {middle:?}");
                }
            }
        }
    }

    #[test]
    fn without_jitter_waits_are_exact() {
        let (first, limit, jitter) = (millis(100), millis(300), 0.0);
        let mut delays = Delay::Exponential { first, limit, jitter }.delays();
        let waits: Vec<_> = (0..4).map(|_| delays.next().as_millis()).collect();
        assert_eq!(waits, [100, 200, 300, 300]);
        let delay = millis(70);
        assert_eq!(Delay::Fixed { delay, jitter }.delays().next(), delay);
    }

    #[test]
    fn decorrelated_delays_stay_within_three_times_the_last() {
        let (first, limit) = (millis(100), millis(2000));
        let mut seen = (limit, first);
        for _ in 0..200 {
            let mut delays = Delay::Decorrelated { first, limit }.delays();
            let mut previous = first;
            for _ in 0..8 {
                let wait = delays.next();
                assert!(wait >= first && wait <= limit && wait <= previous * 3 + Duration::from_nanos(1));
                seen = (seen.0.min(wait), seen.1.max(wait));
                previous = wait;
            }
        }
        assert!(
            seen.0 < millis(120) && seen.1 == limit,
            "the whole range is used: {seen:?}"
        );
    }

    #[test]
    fn the_ends_of_the_range_are_no_trap() {
        for first in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
            for limit in [Duration::ZERO, Duration::MAX] {
                for delay in [
                    Delay::Exponential {
                        first,
                        limit,
                        jitter: 1.0,
                    },
                    Delay::Decorrelated { first, limit },
                    Delay::Fixed {
                        delay: first,
                        jitter: 1.0,
                    },
                ] {
                    let mut delays = delay.delays();
                    for _ in 0..5 {
                        delays.next();
                    }
                }
            }
        }
        assert_eq!(
            [f64::NAN, -1.0, 2.0, 0.3].map(|share| invalid_jitter(share).is_some()),
            [true, true, true, false]
        );
    }
}
