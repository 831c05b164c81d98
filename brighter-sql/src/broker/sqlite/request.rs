//! What callers ask of the engine, as data.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::delivery_buffer::DeliveryBuffer;
use super::row::StoredMessage;
use brighter_core::channel::{
    Channel, ChannelError, ChannelUsage, PublishError, SettleError, SilentConsumer,
};
use brighter_core::message::{ChannelName, Message};

/// Messages to be published, and where the results go.
#[derive(Debug)]
pub(super) struct Posting {
    pub(super) count: usize,
    pub(super) messages: Vec<StoredMessage>,
    pub(super) reply: oneshot::Sender<Vec<Result<(), PublishError>>>,
}

/// A delivery that was settled. What is not acked comes back to the engine with the message, so that nothing is
/// read again.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) seq: i64,
    /// The session that held it; another cannot settle it.
    pub(super) session: i64,
    pub(super) consumer: u64,
    pub(super) channel: i64,
    pub(super) action: SettleAction,
    /// Nobody waits for an ack, unless something is wrong.
    pub(super) reply: Option<oneshot::Sender<Result<(), SettleError>>>,
}

/// How a delivery was settled.
#[derive(Debug)]
pub(super) enum SettleAction {
    Ack,
    /// Back to its channel; it counts as a delivery if a handler could have seen it.
    Release {
        counted: bool,
    },
    /// In its place this one, after so many milliseconds.
    Again {
        message: StoredMessage,
        delay: i64,
    },
    /// To another channel, as this one.
    Aside {
        message: StoredMessage,
        to: ChannelName,
    },
}

/// What is asked of the engine that is no message.
#[derive(Debug)]
pub(super) enum EngineRequest {
    Declare(Channel, oneshot::Sender<Result<(), ChannelError>>),
    /// A consumer with this number is to have what comes to the channel, in this buffer. Whatever becomes of it, the
    /// caller sends [`Leave`](Self::Leave) in the end.
    Consume(
        Channel,
        u64,
        Arc<DeliveryBuffer>,
        oneshot::Sender<Result<(), ChannelError>>,
    ),
    /// A consumer is gone, which is told to the caller that waits for it.
    Leave(u64, oneshot::Sender<()>),
    /// A channel is to go with all that is in it.
    Remove(ChannelName, oneshot::Sender<Result<(), ChannelError>>),
    /// A caller waits until what was settled is written.
    Flush(oneshot::Sender<Result<(), ChannelError>>),
    /// The engine has a mistake.
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
