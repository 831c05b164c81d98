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
}

impl Default for Gauge {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Marks {
            count: 0,
            last: Instant::now(),
            longest: Duration::ZERO,
        })))
    }
}

impl Gauge {
    /// Notes a step.
    pub fn mark(&self) {
        let mut marks = self.marks();
        marks.longest = marks.longest.max(marks.last.elapsed());
        marks.last = Instant::now();
        marks.count += 1;
    }

    /// Forgets what has been the longest time without a step.
    pub fn begin(&self) {
        self.marks().longest = Duration::ZERO;
    }

    /// How many steps there were.
    #[must_use]
    pub fn count(&self) -> usize {
        self.marks().count
    }

    /// How long ago the last step was.
    #[must_use]
    pub fn idle(&self) -> Duration {
        self.marks().last.elapsed()
    }

    /// The longest time without a step, up to now.
    #[must_use]
    pub fn longest(&self) -> Duration {
        let marks = self.marks();
        marks.longest.max(marks.last.elapsed())
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
}
