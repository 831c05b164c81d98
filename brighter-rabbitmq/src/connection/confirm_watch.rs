//! [`ConfirmWatch`]: tracks how long the broker has confirmed nothing although messages wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::Instant;

/// After this long without any confirm, although messages wait, the broker's status is unconfirmed. It is longer than a
/// busy disk takes, so that a slow confirm does not make a process unready, and shorter than the 5 s within which a
/// stall must be visible.
const UNCONFIRMED: Duration = Duration::from_secs(4);
/// How long after the last attempt to publish the broker still counts as stalled.
const BELIEVED: Duration = Duration::from_secs(60);

/// Tracks the confirms of one publisher, across all its connections.
///
/// Any confirm counts, and not only that of the oldest message: a broker that is slow with one queue still serves the
/// others.
pub(crate) struct ConfirmWatch {
    /// The origin of the times below, which are in milliseconds.
    base: Instant,
    base_time: SystemTime,
    in_flight: AtomicUsize,
    /// The time since which messages wait without a confirm; unused while nothing is in flight.
    waits_since: AtomicU64,
    /// The time since which there was no confirm, if a connection was given up for that and no confirm came since; else
    /// 0.
    stalled_since: AtomicU64,
    /// The number of connections that were given up since then.
    given_up: AtomicU32,
    /// The time at which a message was last handed over, if a connection was given up.
    tried: AtomicU64,
    /// Wakes the tasks that wait for confirms to stand still.
    stalls: Notify,
    /// They were told, and there was no confirm since.
    told: AtomicBool,
}

/// A message that waits for its confirm.
pub(crate) struct AwaitedConfirm(Arc<ConfirmWatch>);

impl AwaitedConfirm {
    /// Records that the broker has answered.
    pub(crate) fn answered(&self) {
        let watch = &*self.0;
        watch.waits_since.store(watch.now(), Ordering::Relaxed);
        if watch.stalled_since.load(Ordering::Relaxed) != 0 {
            watch.stalled_since.store(0, Ordering::Relaxed);
            watch.given_up.store(0, Ordering::Relaxed);
        }
        if watch.told.load(Ordering::Relaxed) {
            watch.told.store(false, Ordering::Relaxed);
        }
    }
}

impl Drop for AwaitedConfirm {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl ConfirmWatch {
    pub(super) fn new() -> Self {
        // Not 0, which means never.
        let base = Duration::from_millis(1);
        Self {
            base: Instant::now().checked_sub(base).unwrap_or_else(Instant::now),
            base_time: SystemTime::now() - base,
            in_flight: AtomicUsize::new(0),
            waits_since: AtomicU64::new(0),
            stalled_since: AtomicU64::new(0),
            given_up: AtomicU32::new(0),
            tried: AtomicU64::new(0),
            stalls: Notify::new(),
            told: AtomicBool::new(false),
        }
    }

    /// Waits until the broker has confirmed nothing for too long: something may be wrong with the node or its peers that
    /// others have not noticed yet.
    pub(crate) async fn stalled(&self) {
        self.stalls.notified().await;
    }

    /// Wakes those who wait for a stall, once for each.
    pub(super) fn tell_of_stall(&self) {
        if self.waited() >= UNCONFIRMED && !self.told.swap(true, Ordering::Relaxed) {
            self.stalls.notify_waiters();
        }
    }

    /// Counts a message as in flight until the returned value is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> AwaitedConfirm {
        // Counted first, so that a confirm in the meantime stores a later time.
        if self.in_flight.fetch_add(1, Ordering::AcqRel) == 0 {
            self.waits_since.store(self.now(), Ordering::Relaxed);
        }
        if self.stalled_since.load(Ordering::Relaxed) != 0 {
            self.tried.store(self.now(), Ordering::Relaxed);
        }
        AwaitedConfirm(Arc::clone(self))
    }

    /// Returns how long messages have waited without any confirm on this connection.
    pub(super) fn waited(&self) -> Duration {
        if self.in_flight.load(Ordering::Acquire) == 0 {
            return Duration::ZERO;
        }
        self.elapsed(&self.waits_since)
    }

    /// Restarts the wait: a broker that blocks publishers is not silent.
    pub(super) fn held_back(&self) {
        self.waits_since.store(self.now(), Ordering::Relaxed);
    }

    /// Records that the connection is given up because nothing is confirmed. The stall continues until another
    /// connection gets a confirm.
    pub(super) fn give_up(&self) {
        let now = self.now();
        let since = self.waits_since.load(Ordering::Relaxed).max(1);
        let _ = self
            .stalled_since
            .compare_exchange(0, since, Ordering::Relaxed, Ordering::Relaxed);
        self.tried.store(now, Ordering::Relaxed);
        self.given_up.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many connections were given up since the last confirm.
    pub(super) fn given_up(&self) -> u32 {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Returns the time since which the broker has confirmed nothing, if that is too long.
    pub(super) fn unconfirmed_since(&self) -> Option<SystemTime> {
        let waits = self.in_flight.load(Ordering::Acquire) > 0;
        let stalled = match self.stalled_since.load(Ordering::Relaxed) {
            0 => None,
            since => (waits || self.elapsed(&self.tried) < BELIEVED).then_some(since),
        };
        let since = stalled.or_else(|| waits.then(|| self.waits_since.load(Ordering::Relaxed)))?;
        let is_long = Duration::from_millis(self.now().saturating_sub(since)) >= UNCONFIRMED;
        is_long.then(|| self.base_time + Duration::from_millis(since))
    }

    fn elapsed(&self, since: &AtomicU64) -> Duration {
        Duration::from_millis(self.now().saturating_sub(since.load(Ordering::Relaxed)))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.base.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn slow_confirms_are_no_silence_as_long_as_some_come() {
        let watch = Arc::new(ConfirmWatch::new());
        let _slow = watch.begin();
        for _ in 0..10 {
            let quick = watch.begin();
            advance(UNCONFIRMED - Duration::from_millis(1)).await;
            assert_eq!(watch.unconfirmed_since(), None);
            quick.answered();
        }
        let begun = SystemTime::now();
        advance(UNCONFIRMED).await;
        assert!(
            watch
                .unconfirmed_since()
                .is_some_and(|since| since > begun - UNCONFIRMED)
        );
        assert!(watch.waited() >= UNCONFIRMED);
        watch.held_back();
        assert_eq!(
            (watch.unconfirmed_since(), watch.waited()),
            (None, Duration::ZERO)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_is_told_once_until_there_was_a_confirm() {
        let watch = Arc::new(ConfirmWatch::new());
        let waiting = watch.begin();
        let told = async |watch: &ConfirmWatch| {
            let mut stalled = std::pin::pin!(watch.stalled());
            let before = futures_util::poll!(&mut stalled);
            watch.tell_of_stall();
            (before.is_ready(), futures_util::poll!(&mut stalled).is_ready())
        };
        assert_eq!(told(&watch).await, (false, false), "nothing is wrong");
        advance(UNCONFIRMED).await;
        assert_eq!(told(&watch).await, (false, true));
        assert_eq!(told(&watch).await, (false, false), "it was told");
        waiting.answered();
        advance(UNCONFIRMED).await;
        assert_eq!(told(&watch).await, (false, true));
    }

    #[tokio::test(start_paused = true)]
    async fn with_nothing_in_flight_there_is_no_silence() {
        let watch = Arc::new(ConfirmWatch::new());
        advance(UNCONFIRMED * 2).await;
        assert_eq!(watch.unconfirmed_since(), None);
        let message = watch.begin();
        assert_eq!(watch.waited(), Duration::ZERO);
        drop(message);
        advance(UNCONFIRMED * 2).await;
        assert_eq!(
            (watch.unconfirmed_since(), watch.waited()),
            (None, Duration::ZERO)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn silence_outlasts_a_reconnect_until_a_confirm_or_idleness() {
        let watch = Arc::new(ConfirmWatch::new());
        let lost = watch.begin();
        advance(UNCONFIRMED).await;
        watch.give_up();
        drop(lost);
        assert!(watch.given_up() == 1 && watch.unconfirmed_since().is_some());
        // The next connection has its own wait, and the status is kept.
        let next = watch.begin();
        assert_eq!(watch.waited(), Duration::ZERO);
        let since = watch.unconfirmed_since();
        assert!(since.is_some());
        drop(next);
        advance(BELIEVED - Duration::from_millis(1)).await;
        assert_eq!(watch.unconfirmed_since(), since);
        advance(Duration::from_millis(1)).await;
        assert_eq!(watch.unconfirmed_since(), None);
        let next = watch.begin();
        assert_eq!(watch.unconfirmed_since(), since, "it was never confirmed");
        next.answered();
        assert_eq!(watch.unconfirmed_since(), None);
        assert_eq!(watch.given_up(), 0);
    }
}
