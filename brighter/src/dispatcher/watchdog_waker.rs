//! [`WatchdogWaker`]: wakes the thread of a watchdog.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};

/// Wakes the thread of a watchdog when an entry is added to an empty table, and ends it.
#[derive(Debug, Default)]
pub(super) struct WatchdogWaker {
    awake: AtomicBool,
    over: AtomicBool,
    /// `None`, if the thread could not be started.
    thread: OnceLock<Option<Thread>>,
}

impl WatchdogWaker {
    /// Starts the thread, the first time only.
    pub(super) fn start(&self, start: impl FnOnce() -> Option<Thread>) {
        self.thread.get_or_init(start);
    }

    /// Wakes the thread if it sleeps.
    ///
    /// Entries are added before `awake` is read and scanned after it is cleared, both under the lock of the entries,
    /// so no wake-up is lost.
    pub(super) fn wake(&self) {
        if !self.awake.load(Ordering::Relaxed) && !self.awake.swap(true, Ordering::Relaxed) {
            self.unpark();
        }
    }

    /// Ends the thread.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.unpark();
    }

    /// Returns whether the thread is to end.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Puts the calling thread, the watchdog's, to sleep until it is woken, unless `is_busy` says that it must go on.
    pub(super) fn sleep_unless(&self, is_busy: impl FnOnce() -> bool) {
        self.awake.store(false, Ordering::Relaxed);
        if is_busy() {
            self.awake.store(true, Ordering::Relaxed);
        } else {
            thread::park();
        }
    }

    fn unpark(&self) {
        if let Some(Some(thread)) = self.thread.get() {
            thread.unpark();
        }
    }
}
