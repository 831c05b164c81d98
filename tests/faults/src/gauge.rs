//! How long something made no progress.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Notes each step of something that should go on and on.
#[derive(Debug, Clone)]
pub struct Gauge(Arc<Mutex<Marks>>);

#[derive(Debug)]
struct Marks {
    count: usize,
    last: Instant,
    longest: Duration,
    /// No step is due.
    rests: bool,
}

impl Marks {
    fn idle(&self) -> Duration {
        match self.rests {
            true => Duration::ZERO,
            false => self.last.elapsed(),
        }
    }
}

impl Default for Gauge {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Marks {
            count: 0,
            last: Instant::now(),
            longest: Duration::ZERO,
            rests: false,
        })))
    }
}

impl Gauge {
    /// Notes a step.
    pub fn mark(&self) {
        let mut marks = self.marks();
        marks.longest = marks.longest.max(marks.idle());
        marks.last = Instant::now();
        marks.count += 1;
    }

    /// Forgets what has been the longest time without a step.
    pub fn begin(&self) {
        self.marks().longest = Duration::ZERO;
    }

    /// Notes that no step is due from now on, or that one is: what goes without work does not stand still.
    pub fn rest(&self, rests: bool) {
        let mut marks = self.marks();
        if marks.rests != rests {
            marks.longest = marks.longest.max(marks.idle());
            (marks.last, marks.rests) = (Instant::now(), rests);
        }
    }

    /// How many steps there were.
    #[must_use]
    pub fn count(&self) -> usize {
        self.marks().count
    }

    /// How long ago the last step was, if one is due.
    #[must_use]
    pub fn idle(&self) -> Duration {
        self.marks().idle()
    }

    /// The longest time without a step, up to now.
    #[must_use]
    pub fn longest(&self) -> Duration {
        let marks = self.marks();
        marks.longest.max(marks.idle())
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_time_without_a_step_is_kept() {
        let gauge = Gauge::default();
        let rest = Duration::from_millis(20);
        std::thread::sleep(rest);
        gauge.mark();
        assert!(gauge.longest() >= rest, "before the first step, too");
        std::thread::sleep(rest);
        assert!(gauge.idle() >= rest);
        let longest = gauge.longest();
        gauge.mark();
        assert!(gauge.longest() >= longest && gauge.count() == 2);
        std::thread::sleep(rest);
        gauge.begin();
        assert!(gauge.longest() >= rest, "what has begun before goes on");
    }

    #[test]
    fn a_rest_is_not_counted() {
        let gauge = Gauge::default();
        gauge.rest(true);
        gauge.begin();
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!((gauge.idle(), gauge.longest()), (Duration::ZERO, Duration::ZERO));
        gauge.rest(false);
        assert_eq!(gauge.marks().longest, Duration::ZERO);
        std::thread::sleep(Duration::from_millis(20));
        assert!(gauge.idle() >= Duration::from_millis(20));
    }
}
