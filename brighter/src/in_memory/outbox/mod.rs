//! The [`InMemoryOutbox`]: for tests, and for programs that may lose what they have not yet published.

mod capabilities;
mod entry;
mod scheduled;
mod schedules;
mod state;
mod stored_schedules;
mod transaction;
mod unique;
mod unique_keys;

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio::task::coop::consume_budget;
use tokio::time::Instant;

use self::state::State;
use self::stored_schedules::{ScheduleClock, StoredSchedules};
pub use self::transaction::InMemoryTransaction;
use self::unique_keys::KeyState;
use brighter_core::__private::Bell;
use brighter_core::id::MessageId;
use brighter_core::message::Message;
use brighter_core::outbox::{
    Archiving, Arrival, Arrivals, Claim, Claimed, DeadMessages, Failure, Inspection, Outbox, OutboxError,
    OutboxStatus, Resending, Schedules, Scheduling, UniqueDeposit, UniqueKey, UniquePosts,
};

/// How many messages may be outstanding unless [`InMemoryOutbox::limit`] says otherwise.
const DEFAULT_LIMIT: usize = 1_000_000;

/// An outbox in the memory of this process: what it holds ends with the process.
///
/// A clone is the same outbox. At most a million messages may be outstanding, or as many as
/// [`limit`](Self::limit) says; the ten thousand dispatched last can still be read and sent again.
///
/// ```
/// use std::time::Duration;
/// use brighter::message::{Message, MessageBody, MessageHeader, MessageType};
/// use brighter::outbox::{Claim, InMemoryOutbox, Outbox};
/// use brighter::MessageId;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let outbox = InMemoryOutbox::new();
/// let header = MessageHeader::new(MessageId::new(), "Task.Reminder", MessageType::Command);
/// outbox.deposit(&[Message::new(header, MessageBody::new("{}"))], None).await?;
///
/// let which = Claim::oldest(10, Duration::ZERO);
/// let claimed = outbox.claim(which, Duration::from_secs(30)).await?;
/// assert_eq!(claimed.len(), 1);
/// # Ok::<(), brighter::outbox::OutboxError>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct InMemoryOutbox {
    state: Arc<Mutex<State>>,
    bell: Bell,
    /// Notified when a transaction that holds a unique key ends.
    key_ended: Arc<Notify>,
    limit: usize,
    /// The schedules of recurring work, and the clock by which they become due.
    stored: Arc<Mutex<(ScheduleClock, StoredSchedules)>>,
}

impl InMemoryOutbox {
    /// An empty outbox.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
            bell: Bell::new(),
            key_ended: Arc::default(),
            limit: DEFAULT_LIMIT,
            stored: Arc::default(),
        }
    }

    /// Sets the time by which schedules become due, for a test of recurring work: it is this time now, and goes on with
    /// tokio's clock.
    #[must_use]
    pub fn clock_at(self, time: SystemTime) -> Self {
        self.schedules_locked().0.set(time);
        self
    }

    /// Sets how many messages may be outstanding. A deposit beyond that is refused with [`OutboxError::Full`].
    #[must_use]
    pub fn limit(mut self, messages: usize) -> Self {
        self.limit = messages;
        self
    }

    /// Stores all of a transaction, or nothing.
    pub(super) fn store(
        &self,
        deposits: &[Message],
        scheduled: &[(Message, Instant)],
        changes: &[(MessageId, Option<Instant>)],
    ) -> Result<(), OutboxError> {
        self.lock().store(deposits, scheduled, changes, self.limit)?;
        self.bell.ring(Arrival::Here);
        Ok(())
    }

    /// Locks a scheduled message for a transaction. Says whether it is there.
    pub(super) fn lock_scheduled(&self, id: &MessageId) -> Result<bool, OutboxError> {
        self.lock().scheduled.lock(id)
    }

    pub(super) fn unlock_scheduled(&self, changes: &[(MessageId, Option<Instant>)]) {
        let mut state = self.lock();
        changes.iter().for_each(|(id, _)| state.scheduled.unlock(id));
    }

    /// Takes a unique key for a transaction, unless another transaction that has not ended holds it.
    pub(super) fn take_key(
        &self,
        key: &UniqueKey,
        id: &MessageId,
    ) -> Option<Result<UniqueDeposit, OutboxError>> {
        let (mut state, now) = (self.lock(), Instant::now());
        match state.unique.look(key, id, now) {
            KeyState::Pending => None,
            KeyState::Held(held) => Some(Ok(held)),
            KeyState::Free => {
                let is_new = state.get(id).is_none();
                let taken = state.unique.take(key, id, now, true, self.limit);
                Some(taken.map(|_| UniqueDeposit::Stored { is_new }))
            }
        }
    }

    /// Ends what a transaction holds.
    pub(super) fn end_keys(&self, keys: &[(UniqueKey, MessageId)], committed: bool) {
        if keys.is_empty() {
            return;
        }
        let mut state = self.lock();
        keys.iter().for_each(|(key, _)| state.unique.end(key, committed));
        drop(state);
        self.key_ended.notify_waiters();
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    /// Locks the schedules, as [`lock`](Self::lock). The messages may be locked while this is, and not the reverse.
    fn schedules_locked(&self) -> MutexGuard<'_, (ScheduleClock, StoredSchedules)> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No method of [`State`] can panic half way, so what a poisoned lock guards is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for InMemoryOutbox {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for InMemoryOutbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [outstanding, dispatched, _] = self.lock().counts();
        f.debug_struct("InMemoryOutbox")
            .field("outstanding", &outstanding)
            .field("dispatched", &dispatched)
            .field("limit", &self.limit)
            .finish()
    }
}

impl Outbox for InMemoryOutbox {
    fn deposit<'a>(
        &'a self,
        messages: &'a [Message],
        lease: Option<Duration>,
    ) -> BoxFuture<'a, Result<Vec<MessageId>, OutboxError>> {
        Box::pin(async move {
            // Nothing here ever waits: a loop that deposits would keep the thread from other tasks.
            consume_budget().await;
            let known = self.lock().deposit(messages, lease, self.limit)?;
            if lease.is_none() {
                self.bell.ring(Arrival::Here);
            }
            Ok(known)
        })
    }

    fn claim<'a>(
        &'a self,
        which: Claim<'a>,
        lease: Duration,
    ) -> BoxFuture<'a, Result<Vec<Claimed>, OutboxError>> {
        Box::pin(async move { self.lock().claim(which, lease) })
    }

    fn mark_dispatched<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<(), OutboxError>> {
        // Done at once, as nothing here waits: the future that is left has no size, so its box allocates nothing.
        self.lock().mark_dispatched(ids);
        Box::pin(poll_fn(|_| Poll::Ready(Ok(()))))
    }

    fn mark_failed<'a>(&'a self, failures: &'a [Failure]) -> BoxFuture<'a, Result<(), OutboxError>> {
        Box::pin(async move {
            self.lock().mark_failed(failures);
            Ok(())
        })
    }

    fn release<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<(), OutboxError>> {
        Box::pin(async move {
            self.lock().release(ids);
            Ok(())
        })
    }

    fn status(&self) -> BoxFuture<'_, Result<OutboxStatus, OutboxError>> {
        Box::pin(async move {
            let state = self.lock();
            let oldest = state.outstanding().next();
            let oldest = oldest.map(|(_, held)| held.deposited.elapsed());
            let [outstanding, _, dead] = state.counts();
            let status = OutboxStatus::new(outstanding as u64, oldest);
            let status = status.with_scheduled(state.scheduled.len() as u64);
            let status = status.with_overdue(state.scheduled.overdue());
            Ok(status.with_dead(dead as u64))
        })
    }

    fn scheduling(&self) -> Option<&dyn Scheduling> {
        Some(self)
    }

    fn inspection(&self) -> Option<&dyn Inspection> {
        Some(self)
    }

    fn dead_messages(&self) -> Option<&dyn DeadMessages> {
        Some(self)
    }

    fn resending(&self) -> Option<&dyn Resending> {
        Some(self)
    }

    fn archiving(&self) -> Option<&dyn Archiving> {
        Some(self)
    }

    fn schedules(&self) -> Option<&dyn Schedules> {
        Some(self)
    }

    fn unique_posts(&self) -> Option<&dyn UniquePosts> {
        Some(self)
    }

    fn arrivals(&self) -> Option<Arrivals> {
        Some(self.bell.arrivals())
    }
}
