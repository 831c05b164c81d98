//! [`TimeWindow`]: how often two things happened of late.

use std::time::Duration;

use tokio::time::Instant;

/// In how many steps a window moves on.
const SLOTS: u64 = 10;

/// How often two things happened within a window that ends now and moves on in tenths of its length: it
/// covers at least nine tenths of it, and at most the whole.
///
/// It takes the same memory however much happens.
#[derive(Debug, Clone)]
pub(super) struct TimeWindow {
    began: Instant,
    slot: Duration,
    /// The slot that now belongs to, counted from the beginning.
    current: u64,
    counts: [Counts; SLOTS as usize],
}

/// How often each of the two happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) first: u64,
    pub(super) second: u64,
}

impl TimeWindow {
    /// A window of this length, in which nothing has happened.
    pub(super) fn new(length: Duration, now: Instant) -> Self {
        Self {
            began: now,
            slot: (length / SLOTS as u32).max(Duration::from_nanos(1)),
            current: 0,
            counts: [Counts::default(); SLOTS as usize],
        }
    }

    /// Where to note what happens now.
    pub(super) fn now(&mut self, now: Instant) -> &mut Counts {
        self.move_on(now);
        let index = (self.current % SLOTS) as usize;
        &mut self.counts[index]
    }

    /// Returns the counts within the window.
    pub(super) fn sums(&mut self, now: Instant) -> Counts {
        self.move_on(now);
        self.counts.iter().fold(Counts::default(), |sum, slot| Counts {
            first: sum.first + slot.first,
            second: sum.second + slot.second,
        })
    }

    fn move_on(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.began).as_nanos() / self.slot.as_nanos();
        let current = u64::try_from(passed).unwrap_or(u64::MAX);
        let skipped = current.saturating_sub(self.current).min(SLOTS);
        for back in 0..skipped {
            self.counts[((current - back) % SLOTS) as usize] = Counts::default();
        }
        self.current = self.current.max(current);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_older_than_the_window_are_forgotten() {
        let began = Instant::now();
        let at = |millis| began + Duration::from_millis(millis);
        let mut window = TimeWindow::new(Duration::from_secs(1), began);
        window.now(at(50)).first += 1;
        window.now(at(950)).second += 2;
        assert_eq!(window.sums(at(999)), Counts { first: 1, second: 2 });
        assert_eq!(window.sums(at(1000)), Counts { first: 0, second: 2 });
        assert_eq!(window.sums(at(1899)), Counts { first: 0, second: 2 });
        assert_eq!(window.sums(at(1900)), Counts::default());
        window.now(at(100_000)).first += 1;
        assert_eq!(window.sums(at(100_000)), Counts { first: 1, second: 0 });
    }
}
