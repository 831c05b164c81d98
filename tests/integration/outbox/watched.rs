//! An outbox that is watched: how often somebody looks into it, and how much of it is in hand at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brighter::MessageId;
use brighter::message::Message;
use brighter::outbox::{
    Archiving, Arrivals, Claim, Claimed, DeadMessages, Failure, Inspection, Outbox, OutboxError,
    OutboxStatus, Resending, ScheduledMessage, Scheduling,
};
use futures_util::future::BoxFuture;

type Done<'a, T> = BoxFuture<'a, Result<T, OutboxError>>;

pub(crate) struct Watched<O> {
    outbox: O,
    seen: Arc<Seen>,
    arrivals: Mutex<Option<Arrivals>>,
}

/// What was seen of it.
#[derive(Default)]
pub(crate) struct Seen {
    looks: AtomicUsize,
    looks_for_due: AtomicUsize,
    in_hand: AtomicUsize,
    at_most: AtomicUsize,
}

impl Seen {
    /// How often something was claimed, or tried to be.
    pub(crate) fn looks(&self) -> usize {
        self.looks.load(Ordering::Relaxed)
    }

    /// How often somebody asked for what is due.
    pub(crate) fn looks_for_due(&self) -> usize {
        self.looks_for_due.load(Ordering::Relaxed)
    }

    /// How many were claimed and not settled, at most.
    pub(crate) fn at_most(&self) -> usize {
        self.at_most.load(Ordering::Relaxed)
    }

    fn settled(&self, messages: usize) {
        self.in_hand.fetch_sub(messages, Ordering::Relaxed);
    }
}

impl<O> Watched<O> {
    pub(crate) fn new(outbox: O) -> Self {
        Self {
            outbox,
            seen: Arc::default(),
            arrivals: Mutex::default(),
        }
    }

    /// Tells the first who asks of these arrivals, and not of its own.
    pub(crate) fn telling(self, arrivals: Arrivals) -> Self {
        *self.arrivals.lock().unwrap() = Some(arrivals);
        self
    }

    pub(crate) fn seen(&self) -> Arc<Seen> {
        Arc::clone(&self.seen)
    }
}

impl<O: Outbox> Outbox for Watched<O> {
    fn deposit<'a>(&'a self, messages: &'a [Message], lease: Option<Duration>) -> Done<'a, Vec<MessageId>> {
        self.outbox.deposit(messages, lease)
    }

    fn claim<'a>(&'a self, which: Claim<'a>, lease: Duration) -> Done<'a, Vec<Claimed>> {
        Box::pin(async move {
            self.seen.looks.fetch_add(1, Ordering::Relaxed);
            let claimed = self.outbox.claim(which, lease).await?;
            let in_hand = self.seen.in_hand.fetch_add(claimed.len(), Ordering::Relaxed) + claimed.len();
            self.seen.at_most.fetch_max(in_hand, Ordering::Relaxed);
            Ok(claimed)
        })
    }

    fn mark_dispatched<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, ()> {
        self.seen.settled(ids.len());
        self.outbox.mark_dispatched(ids)
    }

    fn mark_failed<'a>(&'a self, failures: &'a [Failure]) -> Done<'a, ()> {
        self.seen.settled(failures.len());
        self.outbox.mark_failed(failures)
    }

    fn release<'a>(&'a self, ids: &'a [MessageId]) -> Done<'a, ()> {
        self.seen.settled(ids.len());
        self.outbox.release(ids)
    }

    fn status(&self) -> Done<'_, OutboxStatus> {
        self.outbox.status()
    }

    fn scheduling(&self) -> Option<&dyn Scheduling> {
        self.outbox.scheduling().is_some().then_some(self)
    }

    fn inspection(&self) -> Option<&dyn Inspection> {
        self.outbox.inspection()
    }

    fn dead_messages(&self) -> Option<&dyn DeadMessages> {
        self.outbox.dead_messages()
    }

    fn resending(&self) -> Option<&dyn Resending> {
        self.outbox.resending()
    }

    fn archiving(&self) -> Option<&dyn Archiving> {
        self.outbox.archiving()
    }

    fn arrivals(&self) -> Option<Arrivals> {
        match self.arrivals.lock().unwrap().take() {
            Some(arrivals) => Some(arrivals),
            None => self.outbox.arrivals(),
        }
    }
}

impl<O: Outbox> Watched<O> {
    fn inner(&self) -> &dyn Scheduling {
        self.outbox.scheduling().expect("an outbox that can schedule")
    }
}

impl<O: Outbox> Scheduling for Watched<O> {
    fn schedule<'a>(&'a self, message: &'a Message, delay: Duration) -> Done<'a, bool> {
        self.inner().schedule(message, delay)
    }

    fn reschedule<'a>(&'a self, id: &'a MessageId, delay: Duration) -> Done<'a, bool> {
        self.inner().reschedule(id, delay)
    }

    fn cancel<'a>(&'a self, id: &'a MessageId) -> Done<'a, bool> {
        self.inner().cancel(id)
    }

    fn scheduled(&self, limit: usize) -> Done<'_, Vec<ScheduledMessage>> {
        self.inner().scheduled(limit)
    }

    fn make_due(&self, limit: usize) -> Done<'_, u64> {
        self.seen.looks_for_due.fetch_add(1, Ordering::Relaxed);
        self.inner().make_due(limit)
    }
}
