//! [`WriteQueue`]: the queue between the users of the broker and the thread that writes its file.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::error::FileFailure;
use super::request::{EngineRequest, Posting, Settled};
use brighter_core::channel::BrokerStatus;

/// The number of messages that may wait to be published: enough for a transaction to be worth its sync.
pub(super) const POSTINGS: usize = 1024;

/// Collects the work of callers, and the engine takes all of it at once.
#[derive(Debug)]
pub(super) struct WriteQueue {
    state: Mutex<QueueState>,
    pub(super) wake: Notify,
    /// Permits for messages to be published.
    pub(super) room: Semaphore,
    /// Cancelled when the broker is to be closed, or has no more users.
    pub(super) closing: CancellationToken,
    /// Cancelled when nothing is written any more.
    pub(super) closed: CancellationToken,
}

#[derive(Debug, Default)]
struct QueueState {
    items: QueuedItems,
    is_shut: bool,
    failure: Option<FileFailure>,
}

/// The queued work.
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

    /// Adds work to the queue, and returns whether the queue is still open.
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

    /// Closes the queue, and takes the remaining work.
    pub(super) fn shut(&self) -> QueuedItems {
        let mut state = self.lock();
        state.is_shut = true;
        std::mem::take(&mut state.items)
    }

    /// Returns the failure of the last transaction, if it failed.
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
