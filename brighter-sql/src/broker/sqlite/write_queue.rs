//! The [`WriteQueue`] between the users of the broker and the thread that writes its file.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::error::FileFailure;
use super::request::{EngineRequest, Posting, Settled};
use brighter_core::channel::BrokerStatus;

/// How many messages may wait in the queue to be published. Enough for a transaction that is worth its sync.
pub(super) const POSTINGS: usize = 1024;

/// Callers add what is to be done, and the engine takes all of it at once.
#[derive(Debug)]
pub(super) struct WriteQueue {
    state: Mutex<QueueState>,
    pub(super) wake: Notify,
    /// Room for messages to be published.
    pub(super) room: Semaphore,
    /// Somebody wants the broker closed, or nobody has it any more.
    pub(super) closing: CancellationToken,
    /// Nothing is written any more.
    pub(super) closed: CancellationToken,
}

#[derive(Debug, Default)]
struct QueueState {
    items: QueuedItems,
    is_shut: bool,
    failure: Option<FileFailure>,
}

/// What waits in the queue.
#[derive(Debug, Default)]
pub(super) struct QueuedItems {
    pub(super) postings: Vec<Posting>,
    pub(super) settled: Vec<Settled>,
    pub(super) requests: Vec<EngineRequest>,
}

impl WriteQueue {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            wake: Notify::new(),
            room: Semaphore::new(POSTINGS),
            closing: CancellationToken::new(),
            closed: CancellationToken::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds something to the queue, and tells whether the queue is still open.
    pub(super) fn push(&self, add: impl FnOnce(&mut QueuedItems)) -> bool {
        let mut state = self.lock();
        if state.is_shut {
            return false;
        }
        add(&mut state.items);
        drop(state);
        self.wake.notify_one();
        true
    }

    pub(super) fn take(&self) -> QueuedItems {
        std::mem::take(&mut self.lock().items)
    }

    /// Takes what is there for the last time.
    pub(super) fn shut(&self) -> QueuedItems {
        let mut state = self.lock();
        state.is_shut = true;
        std::mem::take(&mut state.items)
    }

    /// What the last transaction failed with, if it did.
    pub(super) fn failure(&self) -> Option<FileFailure> {
        self.lock().failure.clone()
    }

    pub(super) fn note(&self, failure: Option<FileFailure>) {
        self.lock().failure = failure;
    }

    pub(super) fn status(&self) -> BrokerStatus {
        if self.closing.is_cancelled() {
            return BrokerStatus::Closed;
        }
        match self.failure() {
            None => BrokerStatus::Connected,
            Some(failure) => failure.status(),
        }
    }
}
