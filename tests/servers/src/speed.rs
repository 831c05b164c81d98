//! How slow this machine is just now, measured once a process: deadlines of tests go by it.

use std::hint::black_box;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What [`work`] takes on a quiet machine, built without optimisation.
const QUIET: Duration = Duration::from_millis(60);
const STEPS: u64 = 6_000_000;
/// A machine that is slower than this by far is no place for tests, and one measurement may be a mistake.
const SLOWEST: f64 = 6.0;

/// Returns the time that something may take on this machine that may take this long on a quiet one.
///
/// The first call in a process measures how slow the machine is, which takes a moment. It is never less than on a quiet
/// machine.
#[must_use]
pub fn patience(on_a_quiet_machine: Duration) -> Duration {
    static FACTOR: OnceLock<f64> = OnceLock::new();
    on_a_quiet_machine.mul_f64(*FACTOR.get_or_init(|| factor(measure())))
}

fn factor(measured: Duration) -> f64 {
    (measured.as_secs_f64() / QUIET.as_secs_f64()).clamp(1.0, SLOWEST)
}

/// Others that want the processor take their share of the time, so that this sees both how fast it is and how busy.
fn measure() -> Duration {
    let begun = Instant::now();
    black_box(work());
    begun.elapsed()
}

fn work() -> u64 {
    (0..black_box(STEPS)).fold(1, |state: u64, step| {
        (state ^ step).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_machines_get_more_time() {
        assert_eq!(factor(QUIET / 10), 1.0);
        assert_eq!(factor(QUIET * 3), 3.0);
        assert_eq!(factor(QUIET * 1000), SLOWEST);
        let minute = Duration::from_secs(60);
        let first = patience(minute);
        assert!(first >= minute);
        assert_eq!(patience(minute), first, "measured once");
    }
}
