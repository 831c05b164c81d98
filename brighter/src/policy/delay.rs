//! How long to wait between attempts. The only file that knows the `backoff` crate.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;

/// The waits between the attempts of one call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Delay {
    /// Always the same.
    Fixed(Duration),
    /// Doubled each time up to a limit, each spread at random by half its length either way, so that many
    /// callers do not come back at once.
    Exponential { first: Duration, limit: Duration },
}

/// How far a wait is spread at random, as a share of it.
const SPREAD: f64 = 0.5;

/// Gives out one wait after another.
#[derive(Debug)]
pub(super) enum Delays {
    Fixed(Duration),
    Exponential(Box<ExponentialBackoff>),
}

impl Delay {
    pub(super) fn delays(self) -> Delays {
        match self {
            Self::Fixed(delay) => Delays::Fixed(delay),
            Self::Exponential { first, limit } => Delays::Exponential(Box::new(ExponentialBackoff {
                current_interval: first,
                initial_interval: first,
                randomization_factor: SPREAD,
                multiplier: 2.0,
                max_interval: limit,
                max_elapsed_time: None,
                ..ExponentialBackoff::default()
            })),
        }
    }
}

impl Delays {
    pub(super) fn next(&mut self) -> Duration {
        match self {
            Self::Fixed(delay) => *delay,
            // Without a limit in time it never says to stop.
            Self::Exponential(backoff) => backoff.next_backoff().unwrap_or(backoff.max_interval),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_waits_double_within_their_spread_and_stop_at_the_limit() {
        let (first, limit) = (Duration::from_millis(100), Duration::from_millis(300));
        for _ in 0..100 {
            let mut delays = Delay::Exponential { first, limit }.delays();
            for middle in [100, 200, 300, 300] {
                let wait = delays.next().as_millis();
                assert!(
                    (middle / 2..=middle * 3 / 2).contains(&wait),
                    "{wait} around {middle}"
                );
            }
        }
    }
}
