//! [`InFlightCount`]: how many deliveries of a consumer are not settled.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;

/// How many deliveries of a consumer are not settled.
#[derive(Debug)]
pub(super) struct InFlightCount {
    count: AtomicUsize,
    most: usize,
    /// The task that waits for one to be settled.
    full: AtomicWaker,
}

impl InFlightCount {
    /// Returns a count that is full at `most`.
    pub(super) fn new(most: usize) -> Self {
        Self {
            count: AtomicUsize::new(0),
            most,
            full: AtomicWaker::new(),
        }
    }

    /// Returns whether there may be no more. The task is woken when there may.
    pub(super) fn is_full(&self, waker: &Waker) -> bool {
        if self.count.load(Ordering::Acquire) < self.most {
            return false;
        }
        self.full.register(waker);
        // One that was settled before the task was noted woke nobody.
        self.count.load(Ordering::Acquire) >= self.most
    }

    /// Counts one more.
    pub(super) fn add(&self) {
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts one less, which is settled.
    pub(super) fn remove(&self) {
        if self.count.fetch_sub(1, Ordering::AcqRel) >= self.most {
            self.full.wake();
        }
    }

    /// Wakes the task that waits for one to be settled.
    pub(super) fn wake(&self) {
        self.full.wake();
    }
}
