//! The [`Desk`] between those who use the broker and the thread that writes its file.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

use super::error::Failure;
use super::row::Outgoing;
use super::seat::Opened;
use brighter_core::channel::{BrokerStatus, Channel, ChannelError, PublishError, SettleError};
use brighter_core::message::{ChannelName, Message};

/// How many messages may lie on the desk to be published. Enough for a transaction that is worth its sync.
pub(super) const POSTINGS: usize = 1024;

/// Where callers lay what is to be done, and the engine takes all of it at once.
#[derive(Debug)]
pub(super) struct Desk {
    state: Mutex<State>,
    pub(super) wake: Notify,
    /// Room for messages to be published.
    pub(super) room: Semaphore,
    /// Somebody wants the broker closed, or nobody has it any more.
    pub(super) closing: CancellationToken,
    /// Nothing is written any more.
    pub(super) closed: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    batch: Batch,
    is_shut: bool,
    failure: Option<Failure>,
}

/// What lay on the desk.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) postings: Vec<Posting>,
    pub(super) settled: Vec<Settled>,
    pub(super) requests: Vec<Request>,
}

/// Messages to be published, and who waits for what becomes of each.
#[derive(Debug)]
pub(super) struct Posting {
    pub(super) count: usize,
    pub(super) messages: Vec<Outgoing>,
    pub(super) reply: oneshot::Sender<Vec<Result<(), PublishError>>>,
}

/// A delivery that was settled. What is not acked comes back to the engine with the message, so that nothing is
/// read again.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) seq: i64,
    /// The session that held it; another cannot settle it.
    pub(super) session: i64,
    pub(super) seat: u64,
    pub(super) channel: i64,
    pub(super) how: How,
    /// Nobody waits for an ack, unless something is wrong.
    pub(super) reply: Option<oneshot::Sender<Result<(), SettleError>>>,
}

/// How a delivery was settled.
#[derive(Debug)]
pub(super) enum How {
    Ack,
    /// Back to its channel; it counts as a delivery if a handler could have seen it.
    Release {
        counted: bool,
    },
    /// In its place this one, after so many milliseconds.
    Again {
        message: Outgoing,
        delay: i64,
    },
    /// To another channel, as this one.
    Aside {
        message: Outgoing,
        to: ChannelName,
    },
}

/// What is asked of the engine that is no message.
#[derive(Debug)]
pub(super) enum Request {
    Declare(Channel, oneshot::Sender<Result<(), ChannelError>>),
    Consume(Channel, oneshot::Sender<Result<Opened, ChannelError>>),
    /// A consumer is gone, which is told to who waits for it.
    Leave(u64, oneshot::Sender<()>),
    /// A channel is to go with all that is in it.
    Remove(ChannelName, oneshot::Sender<Result<(), ChannelError>>),
    /// Somebody waits until what was settled is written.
    Flush(oneshot::Sender<Result<(), ChannelError>>),
    Depth(ChannelName, oneshot::Sender<Result<Option<u64>, ChannelError>>),
    Waiting(
        ChannelName,
        u32,
        oneshot::Sender<Result<Vec<Message>, ChannelError>>,
    ),
}

impl Desk {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            wake: Notify::new(),
            room: Semaphore::new(POSTINGS),
            closing: CancellationToken::new(),
            closed: CancellationToken::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lays something on the desk; whether it is still open.
    pub(super) fn lay(&self, what: impl FnOnce(&mut Batch)) -> bool {
        let mut state = self.lock();
        if state.is_shut {
            return false;
        }
        what(&mut state.batch);
        drop(state);
        self.wake.notify_one();
        true
    }

    pub(super) fn take(&self) -> Batch {
        std::mem::take(&mut self.lock().batch)
    }

    /// Takes what is there for the last time.
    pub(super) fn shut(&self) -> Batch {
        let mut state = self.lock();
        state.is_shut = true;
        std::mem::take(&mut state.batch)
    }

    /// What the last transaction failed with, if it did.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.lock().failure.clone()
    }

    pub(super) fn note(&self, failure: Option<Failure>) {
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
