//! [`InFlightTable`]: what a performer has in hand, for those who look at it from outside.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::watchdog_waker::WatchdogWaker;
use brighter_core::id::MessageId;

/// The messages that one performer has in hand. The lock is contended only by an occasional reader, so it
/// costs next to nothing.
#[derive(Debug)]
pub(super) struct InFlightTable {
    /// Is woken when an entry is added.
    waker: Arc<WatchdogWaker>,
    held: Mutex<Slots>,
    /// In how many milliseconds the broker wants a delivery settled; 0 if it does not say.
    settle_timeout: AtomicU64,
    /// How many of those in hand wait for a circuit that is open.
    waiting: AtomicUsize,
    /// How many messages the performer has received.
    received: AtomicU64,
    /// Which one is being polled.
    polled: AtomicUsize,
    /// Poll epoch: odd during a poll. Seeing the same odd value twice means one poll is still running.
    polls: AtomicU64,
    /// Whether the poll is in the mapper.
    mapping: AtomicBool,
}

#[derive(Debug, Default)]
struct Slots {
    slots: Vec<Option<InFlightEntry>>,
    free: Vec<usize>,
}

/// One message in hand.
#[derive(Debug, Clone)]
pub(super) struct InFlightEntry {
    pub(super) id: MessageId,
    pub(super) since: Instant,
    /// The handlers of the message.
    pub(super) handlers: Arc<[&'static str]>,
    /// Whether it was told that it will not be settled in time.
    told: bool,
}

impl InFlightTable {
    pub(super) fn new(waker: Arc<WatchdogWaker>) -> Self {
        Self {
            waker,
            held: Mutex::default(),
            settle_timeout: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            received: AtomicU64::new(0),
            polled: AtomicUsize::new(0),
            polls: AtomicU64::new(0),
            mapping: AtomicBool::new(false),
        }
    }

    /// The broker wants each delivery settled within this time.
    pub(super) fn settle_timeout(&self, limit: Option<Duration>) {
        let milliseconds = limit.map_or(0, |limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        self.settle_timeout.store(milliseconds, Ordering::Relaxed);
    }

    /// The time in which the broker wants each delivery settled.
    pub(super) fn settles_within(&self) -> Option<Duration> {
        match self.settle_timeout.load(Ordering::Relaxed) {
            0 => None,
            milliseconds => Some(Duration::from_millis(milliseconds)),
        }
    }

    /// Returns the entries that have been in hand for most of the time in which the broker wants them settled, each
    /// once.
    pub(super) fn overdue(&self) -> Vec<InFlightEntry> {
        let Some(limit) = self.settles_within() else {
            return Vec::new();
        };
        let late = |held: &&mut InFlightEntry| !held.told && held.since.elapsed() >= limit * 3 / 4;
        let mut slots = self.lock();
        let held = slots.slots.iter_mut().flatten().filter(late);
        held.map(|held| {
            held.told = true;
            held.clone()
        })
        .collect()
    }

    /// Notes a message, until what is given back is dropped.
    pub(super) fn hold(self: &Arc<Self>, id: MessageId, handlers: &Arc<[&'static str]>) -> InFlightGuard {
        let held = Some(InFlightEntry {
            id,
            since: Instant::now(),
            handlers: Arc::clone(handlers),
            told: false,
        });
        let mut slots = self.lock();
        let slot = match slots.free.pop() {
            Some(slot) => {
                slots.slots[slot] = held;
                slot
            }
            None => {
                slots.slots.push(held);
                slots.slots.len() - 1
            }
        };
        drop(slots);
        self.waker.wake();
        InFlightGuard {
            table: Arc::clone(self),
            slot,
        }
    }

    /// Counts a message that the performer has received, from its consumer or from a sibling.
    pub(super) fn count_received(&self) {
        // The performer alone writes this.
        let received = self.received.load(Ordering::Relaxed);
        self.received.store(received.wrapping_add(1), Ordering::Relaxed);
    }

    /// How many messages the performer has received.
    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// A circuit is open for one of those in hand, so no more are to be taken, until what is given is dropped.
    pub(super) fn hold_back(&self) -> BackpressureGuard<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        BackpressureGuard(&self.waiting)
    }

    /// Whether no more are to be taken, because a circuit is open.
    pub(super) fn holds_back(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Everything in hand.
    pub(super) fn entries(&self) -> Vec<InFlightEntry> {
        self.lock().slots.iter().flatten().cloned().collect()
    }

    /// Whether there is anything in hand.
    pub(super) fn is_empty(&self) -> bool {
        let slots = self.lock();
        slots.free.len() == slots.slots.len()
    }

    /// The number of the poll that goes on, if one does.
    pub(super) fn poll(&self) -> Option<u64> {
        let polls = self.polls.load(Ordering::Acquire);
        (polls % 2 == 1).then_some(polls)
    }

    /// Returns the entry that the poll of this number polls, if that poll still goes on.
    pub(super) fn polled(&self, poll: u64) -> Option<InFlightEntry> {
        let slot = self.polled.load(Ordering::Relaxed);
        let held = self.lock().slots.get(slot)?.clone();
        held.filter(|_| self.poll() == Some(poll))
    }

    /// Shows that the poll is in the mapper, until the guard is dropped. No await may come in between.
    pub(super) fn begin_mapping(&self) -> MappingGuard<'_> {
        self.mapping.store(true, Ordering::Relaxed);
        MappingGuard(&self.mapping)
    }

    /// Returns whether the poll is in the mapper.
    pub(super) fn is_mapping(&self) -> bool {
        self.mapping.load(Ordering::Relaxed)
    }

    /// Maps a message before its turn, seen from outside as one in hand.
    pub(super) fn map_observed<T>(
        self: &Arc<Self>,
        id: MessageId,
        handlers: &Arc<[&'static str]>,
        map: impl FnOnce() -> T,
    ) -> T {
        let in_hand = self.hold(id, handlers);
        let _polling = Polling::begin(&in_hand);
        let _mapping = self.begin_mapping();
        map()
    }

    /// A performer polls one after the other, so nobody else writes this.
    fn count_poll(&self) {
        let polls = self.polls.load(Ordering::Relaxed);
        self.polls.store(polls.wrapping_add(1), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message is in hand.
#[derive(Debug)]
pub(super) struct InFlightGuard {
    table: Arc<InFlightTable>,
    slot: usize,
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        let mut slots = self.table.lock();
        if let Some(held) = slots.slots.get_mut(self.slot) {
            *held = None;
        }
        slots.free.push(self.slot);
    }
}

/// No more messages are to be taken.
#[derive(Debug)]
pub(super) struct BackpressureGuard<'a>(&'a AtomicUsize);

impl Drop for BackpressureGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A mapper runs.
#[derive(Debug)]
pub(super) struct MappingGuard<'a>(&'a AtomicBool);

impl Drop for MappingGuard<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

pin_project! {
    /// A future that shows from outside when it is being polled.
    pub(super) struct PollObserved<F> {
        #[pin]
        future: F,
        in_hand: Option<InFlightGuard>,
    }
}

impl<F> PollObserved<F> {
    /// This future is what handles the message, which is in hand for as long as it runs.
    pub(super) fn new(future: F, in_hand: Option<InFlightGuard>) -> Self {
        Self { future, in_hand }
    }
}

impl<F: Future> Future for PollObserved<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _polling = this.in_hand.as_ref().map(Polling::begin);
        this.future.poll(task)
    }
}

/// A poll goes on; also a panic ends it.
struct Polling<'a>(&'a InFlightTable);

impl<'a> Polling<'a> {
    fn begin(in_hand: &'a InFlightGuard) -> Self {
        let table = &*in_hand.table;
        table.polled.store(in_hand.slot, Ordering::Relaxed);
        table.count_poll();
        Self(table)
    }
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.0.count_poll();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_flight_messages_are_listed_until_dropped() {
        let table = Arc::new(InFlightTable::new(Arc::default()));
        let none: Arc<[&'static str]> = Arc::new([]);
        let (first, second) = (MessageId::new(), MessageId::new());
        let one = table.hold(first, &none);
        let other = table.hold(second.clone(), &none);
        drop(one);
        let ids: Vec<_> = table.entries().into_iter().map(|held| held.id).collect();
        assert_eq!(ids, [second]);
        drop(table.hold(MessageId::new(), &none));
        drop(other);
        assert!(table.is_empty());
    }

    #[tokio::test]
    async fn a_poll_is_seen_only_while_it_runs() {
        let table = Arc::new(InFlightTable::new(Arc::default()));
        let (id, handlers) = (MessageId::new(), Arc::from(["handler"]));
        let seen = Arc::clone(&table);
        let future = async move {
            let first = seen.poll().unwrap();
            assert_eq!(seen.polled(first).unwrap().handlers[0], "handler");
            tokio::task::yield_now().await;
            let second = seen.poll().unwrap();
            assert_ne!(first, second);
            assert!(seen.polled(first).is_none(), "that one is over");
        };
        let mut watched = std::pin::pin!(PollObserved::new(future, Some(table.hold(id, &handlers))));
        assert!(futures_util::poll!(&mut watched).is_pending());
        assert_eq!(table.poll(), None, "waiting is no blocking");
        watched.await;
        assert_eq!(table.poll(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_is_overdue_once_at_three_quarters_time() {
        let table = Arc::new(InFlightTable::new(Arc::default()));
        let none: Arc<[&'static str]> = Arc::new([]);
        let _one = table.hold(MessageId::new(), &none);
        tokio::time::advance(Duration::from_secs(70)).await;
        assert!(table.overdue().is_empty(), "nobody waits for it");
        table.settle_timeout(Some(Duration::from_secs(100)));
        assert!(table.overdue().is_empty());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(table.overdue().len(), 1);
        assert!(table.overdue().is_empty(), "that is known");
    }
}
