//! Who waits for which reply.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::CallError;
use brighter_core::id::MessageId;
use brighter_core::message::Message;

/// Pending calls by the id of their reply, and the number of replies for which no call waited.
pub(super) struct PendingCalls {
    limit: usize,
    calls: Mutex<HashMap<MessageId, oneshot::Sender<Arc<Message>>>>,
    dropped: AtomicU64,
}

/// A call that waits for its reply until this is dropped.
pub(super) struct PendingCall<'a> {
    waiting: &'a PendingCalls,
    pub(super) id: MessageId,
    pub(super) reply: oneshot::Receiver<Arc<Message>>,
}

impl PendingCalls {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            calls: Mutex::default(),
            dropped: AtomicU64::new(0),
        }
    }

    /// One more waits, if it may.
    pub(super) fn enter(&self) -> Result<PendingCall<'_>, CallError> {
        let (id, (sender, reply)) = (MessageId::new(), oneshot::channel());
        let mut calls = self.lock();
        if calls.len() >= self.limit {
            return Err(CallError::TooMany { limit: self.limit });
        }
        calls.insert(id.clone(), sender);
        drop(calls);
        let waiting = self;
        Ok(PendingCall { waiting, id, reply })
    }

    /// Gives a reply to who waits for it; whether anybody did.
    pub(super) fn give(&self, reply: &Arc<Message>) -> bool {
        let call = reply.header.correlation_id.as_ref();
        let sender = call.and_then(|call| self.lock().remove(call));
        sender.is_some_and(|sender| sender.send(Arc::clone(reply)).is_ok())
    }

    /// A reply came for nobody.
    pub(super) fn note_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Nothing comes any more.
    pub(super) fn end(&self) {
        let calls = std::mem::take(&mut *self.lock());
        // Out of the lock, for it wakes those who wait.
        drop(calls);
    }

    pub(super) fn in_flight(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Nothing that is done under the lock can panic half way.
    fn lock(&self) -> MutexGuard<'_, HashMap<MessageId, oneshot::Sender<Arc<Message>>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PendingCall<'_> {
    fn drop(&mut self) {
        let sender = self.waiting.lock().remove(&self.id);
        drop(sender);
    }
}
