//! [`Retirement`]: tracks the connections of a pool that must not be used any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The shortest time between retirements: a server may stay read-only for long, and connections must not be reopened
/// all the time.
const PAUSE: Duration = Duration::from_secs(1);

/// Tracks the connections of a pool that must not be used any more. These were opened before one of them last turned
/// out to lead to a read-only server, such as a new standby.
#[derive(Debug, Clone, Default)]
pub(crate) struct Retirement {
    last: Arc<Mutex<Option<Instant>>>,
    begun: Arc<Notify>,
    /// Whether another one is to follow.
    is_deferred: Arc<AtomicBool>,
}

impl Retirement {
    /// Retires all current connections, unless that was done a moment ago.
    pub(crate) fn begin(&self) -> bool {
        let (mut last, now) = (
            self.last.lock().unwrap_or_else(PoisonError::into_inner),
            Instant::now(),
        );
        let begins = last.is_none_or(|last| now.duration_since(last) >= PAUSE);
        if begins {
            *last = Some(now);
            self.begun.notify_waiters();
        }
        begins
    }

    /// Waits for the next retirement.
    #[cfg(feature = "postgres")]
    pub(crate) async fn next(self) {
        self.begun.notified().await;
    }

    /// Returns whether the caller must check connections once more, because some are in use and no other caller does.
    pub(crate) fn defer(&self) -> bool {
        !self.is_deferred.swap(true, Ordering::AcqRel)
    }

    /// Waits until it is time for that.
    pub(crate) async fn deferred(self) {
        tokio::time::sleep(PAUSE).await;
        self.is_deferred.store(false, Ordering::Release);
    }

    /// Returns whether a connection of this age is retired.
    pub(crate) fn includes(&self, age: Duration) -> bool {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() <= age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_connections_are_retired_and_newer_ones_are_not() {
        let retirement = Retirement::default();
        let age = Duration::from_secs(60);
        assert!(!retirement.includes(age));
        assert!(retirement.begin());
        assert!(!retirement.begin(), "it was done a moment ago");
        assert!(retirement.includes(age));
        assert!(!retirement.includes(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn one_caller_at_a_time_checks_connections_in_use() {
        let retirement = Retirement::default();
        assert!(retirement.defer());
        assert!(!retirement.defer());
        retirement.clone().deferred().await;
        assert!(retirement.defer());
    }
}
