//! [`Hands`]: what a performer has in hand, for those who look at it from outside.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::watchdog::Kennel;
use brighter_core::id::MessageId;

/// What one performer has in hand. Its lock is the performer's own but for those who look now and then, so it
/// costs next to nothing.
#[derive(Debug)]
pub(super) struct Hands {
    /// Who is woken by what comes in hand.
    kennel: Arc<Kennel>,
    held: Mutex<Slots>,
    /// In how many milliseconds the broker wants a delivery settled; 0 if it does not say.
    settle_within: AtomicU64,
    /// How many of those in hand wait for a circuit that is open.
    waiting: AtomicUsize,
    /// Which one is being polled.
    polled: AtomicUsize,
    /// Odd while one is being polled, and one higher with each beginning and end: who sees the same odd number
    /// twice has seen one poll that took all the while. No clock is asked for it.
    polls: AtomicU64,
}

#[derive(Debug, Default)]
struct Slots {
    slots: Vec<Option<Held>>,
    free: Vec<usize>,
}

/// One message in hand.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) id: MessageId,
    pub(super) since: Instant,
    /// Who is handling it.
    pub(super) handlers: Arc<[&'static str]>,
    /// Whether it was told that it will not be settled in time.
    told: bool,
}

impl Hands {
    pub(super) fn new(kennel: Arc<Kennel>) -> Self {
        Self {
            kennel,
            held: Mutex::default(),
            settle_within: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            polled: AtomicUsize::new(0),
            polls: AtomicU64::new(0),
        }
    }

    /// The broker wants each delivery settled within this time.
    pub(super) fn settle_within(&self, limit: Option<Duration>) {
        let milliseconds = limit.map_or(0, |limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        self.settle_within.store(milliseconds, Ordering::Relaxed);
    }

    /// The time in which the broker wants each delivery settled.
    pub(super) fn settles_within(&self) -> Option<Duration> {
        match self.settle_within.load(Ordering::Relaxed) {
            0 => None,
            milliseconds => Some(Duration::from_millis(milliseconds)),
        }
    }

    /// What has been in hand for most of the time in which the broker wants it settled. Each is given once.
    pub(super) fn overdue(&self) -> Vec<Held> {
        let Some(limit) = self.settles_within() else {
            return Vec::new();
        };
        let late = |held: &&mut Held| !held.told && held.since.elapsed() >= limit * 3 / 4;
        let mut slots = self.lock();
        let held = slots.slots.iter_mut().flatten().filter(late);
        held.map(|held| {
            held.told = true;
            held.clone()
        })
        .collect()
    }

    /// Notes a message, until what is given back is dropped.
    pub(super) fn hold(self: &Arc<Self>, id: MessageId, handlers: &Arc<[&'static str]>) -> InHand {
        let held = Some(Held {
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
        self.kennel.wake();
        InHand {
            hands: Arc::clone(self),
            slot,
        }
    }

    /// A circuit is open for one of those in hand, so no more are to be taken, until what is given is dropped.
    pub(super) fn hold_back(&self) -> HoldingBack<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        HoldingBack(&self.waiting)
    }

    /// Whether no more are to be taken, because a circuit is open.
    pub(super) fn holds_back(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Everything in hand.
    pub(super) fn held(&self) -> Vec<Held> {
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

    /// What is polled by the poll of this number, if it still goes on.
    pub(super) fn polled(&self, poll: u64) -> Option<Held> {
        let slot = self.polled.load(Ordering::Relaxed);
        let held = self.lock().slots.get(slot)?.clone();
        held.filter(|_| self.poll() == Some(poll))
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
pub(super) struct InHand {
    hands: Arc<Hands>,
    slot: usize,
}

impl Drop for InHand {
    fn drop(&mut self) {
        let mut slots = self.hands.lock();
        if let Some(held) = slots.slots.get_mut(self.slot) {
            *held = None;
        }
        slots.free.push(self.slot);
    }
}

/// No more messages are to be taken.
#[derive(Debug)]
pub(super) struct HoldingBack<'a>(&'a AtomicUsize);

impl Drop for HoldingBack<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pin_project! {
    /// A future that shows from outside when it is being polled.
    pub(super) struct Watched<F> {
        #[pin]
        future: F,
        in_hand: Option<InHand>,
    }
}

impl<F> Watched<F> {
    /// This future is what handles the message, which is in hand for as long as it runs.
    pub(super) fn new(future: F, in_hand: Option<InHand>) -> Self {
        Self { future, in_hand }
    }
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _polling = this.in_hand.as_ref().map(Polling::begin);
        this.future.poll(task)
    }
}

/// A poll goes on; also a panic ends it.
struct Polling<'a>(&'a Hands);

impl<'a> Polling<'a> {
    fn begin(in_hand: &'a InHand) -> Self {
        let hands = &*in_hand.hands;
        hands.polled.store(in_hand.slot, Ordering::Relaxed);
        hands.count_poll();
        Self(hands)
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
    fn what_is_in_hand_is_seen_until_it_is_dropped() {
        let hands = Arc::new(Hands::new(Arc::default()));
        let none: Arc<[&'static str]> = Arc::new([]);
        let (first, second) = (MessageId::new(), MessageId::new());
        let one = hands.hold(first, &none);
        let other = hands.hold(second.clone(), &none);
        drop(one);
        let ids: Vec<_> = hands.held().into_iter().map(|held| held.id).collect();
        assert_eq!(ids, [second]);
        drop(hands.hold(MessageId::new(), &none));
        drop(other);
        assert!(hands.is_empty());
    }

    #[tokio::test]
    async fn a_poll_is_seen_while_it_goes_on_and_not_in_between() {
        let hands = Arc::new(Hands::new(Arc::default()));
        let (id, handlers) = (MessageId::new(), Arc::from(["handler"]));
        let seen = Arc::clone(&hands);
        let future = async move {
            let first = seen.poll().unwrap();
            assert_eq!(seen.polled(first).unwrap().handlers[0], "handler");
            tokio::task::yield_now().await;
            let second = seen.poll().unwrap();
            assert_ne!(first, second);
            assert!(seen.polled(first).is_none(), "that one is over");
        };
        let mut watched = std::pin::pin!(Watched::new(future, Some(hands.hold(id, &handlers))));
        assert!(futures_util::poll!(&mut watched).is_pending());
        assert_eq!(hands.poll(), None, "waiting is no blocking");
        watched.await;
        assert_eq!(hands.poll(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_in_hand_for_three_quarters_of_its_time_is_overdue_once() {
        let hands = Arc::new(Hands::new(Arc::default()));
        let none: Arc<[&'static str]> = Arc::new([]);
        let _one = hands.hold(MessageId::new(), &none);
        tokio::time::advance(Duration::from_secs(70)).await;
        assert!(hands.overdue().is_empty(), "nobody waits for it");
        hands.settle_within(Some(Duration::from_secs(100)));
        assert!(hands.overdue().is_empty());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(hands.overdue().len(), 1);
        assert!(hands.overdue().is_empty(), "that is known");
    }
}
