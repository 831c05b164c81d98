//! The requests of callers to the engine, as data.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::delivery_buffer::DeliveryBuffer;
use super::row::StoredMessage;
use brighter_core::channel::{
    Channel, ChannelError, ChannelUsage, PublishError, SettleError, SilentConsumer,
};
use brighter_core::message::{ChannelName, Message};

/// Messages to publish, and the sender of their results.
#[derive(Debug)]
pub(super) struct Posting {
    pub(super) count: usize,
    pub(super) messages: Vec<StoredMessage>,
    /// The one channel that gets them, instead of every one that is bound to their topics.
    pub(super) to: Option<ChannelName>,
    pub(super) reply: oneshot::Sender<Vec<Result<(), PublishError>>>,
}

/// A settled delivery. All but an ack return the message to the engine, so that it need not be read again.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) seq: i64,
    /// The session that held the message; no other can settle it.
    pub(super) session: i64,
    pub(super) consumer: u64,
    pub(super) channel: i64,
    pub(super) action: SettleAction,
    /// `None` for an ack, whose caller does not wait unless writing has failed.
    pub(super) reply: Option<oneshot::Sender<Result<(), SettleError>>>,
}

/// The kind of settlement.
#[derive(Debug)]
pub(super) enum SettleAction {
    Ack,
    /// Returns to its channel; it counts as a delivery if a handler may have received it.
    Release {
        counted: bool,
    },
    /// Replaced by this message, after so many milliseconds.
    Again {
        message: StoredMessage,
        delay: i64,
    },
    /// Moved to another channel, as this message.
    Aside {
        message: StoredMessage,
        to: ChannelName,
    },
}

/// Requests to the engine other than messages.
#[derive(Debug)]
pub(super) enum EngineRequest {
    Declare(Channel, oneshot::Sender<Result<(), ChannelError>>),
    /// Adds a consumer with this number, which receives the messages of the channel in this buffer. The caller sends
    /// [`Leave`](Self::Leave) in the end, in any case.
    Consume(
        Channel,
        u64,
        Arc<DeliveryBuffer>,
        oneshot::Sender<Result<(), ChannelError>>,
    ),
    /// A consumer is gone; the engine reports when it is removed.
    Leave(u64, oneshot::Sender<()>),
    /// Removes a channel with all its messages.
    Remove(ChannelName, oneshot::Sender<Result<(), ChannelError>>),
    /// Waits until all settlements are written.
    Flush(oneshot::Sender<Result<(), ChannelError>>),
    /// Makes the engine panic.
    #[cfg(test)]
    Panic,
    /// Which other processes have missed a sign of life.
    Silent(oneshot::Sender<Result<Vec<SilentConsumer>, ChannelError>>),
    Usages(oneshot::Sender<Result<Vec<ChannelUsage>, ChannelError>>),
    Depth(ChannelName, oneshot::Sender<Result<Option<u64>, ChannelError>>),
    Waiting(
        ChannelName,
        u32,
        oneshot::Sender<Result<Vec<Message>, ChannelError>>,
    ),
}
