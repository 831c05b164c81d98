//! The pause before the next attempt to connect.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use super::ConnectError;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The pause between attempts that only a person can correct, such as a wrong password.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_secs(15);

/// Returns the pause after `failures` failures in a row; `error` is the last one.
pub(super) fn pause_after(failures: u32, error: &ConnectError) -> Duration {
    if error.is_fatal() {
        spread(PAUSE_AFTER_REFUSAL)
    } else {
        // Doubles with each failure, up to the longest.
        let doubled = FIRST_PAUSE.saturating_mul(1 << failures.min(10));
        spread(doubled.min(LONGEST_PAUSE))
    }
}

/// Makes half of the pause random, so that many processes do not return to the broker at once.
fn spread(pause: Duration) -> Duration {
    pause / 2 + (pause / 2).mul_f64(random())
}

/// Returns a random number from 0 up to, and without, 1. The standard library seeds its hashers randomly, which
/// suffices to spread attempts.
pub(super) fn random() -> f64 {
    f64::from(RandomState::new().build_hasher().finish() as u32) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ() {
        let lost = ConnectError::silent(&"amqp://host", Duration::from_secs(1));
        for failures in [1, 2, 5, 10, 100, u32::MAX] {
            let pause = pause_after(failures, &lost);
            assert!(pause >= FIRST_PAUSE && pause <= LONGEST_PAUSE, "{pause:?}");
        }
        let pauses: Vec<_> = (0..20).map(|_| pause_after(10, &lost)).collect();
        assert!(pauses.iter().any(|pause| pause != &pauses[0]));
    }

    #[test]
    fn a_refusal_is_tried_again_slowly_from_the_first() {
        let refused = ConnectError::Credentials {
            address: "amqp://host".into(),
        };
        for failures in [1, 100] {
            let pause = pause_after(failures, &refused);
            assert!(
                pause >= PAUSE_AFTER_REFUSAL / 2 && pause <= PAUSE_AFTER_REFUSAL,
                "{pause:?}"
            );
        }
    }
}
