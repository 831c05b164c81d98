//! The ports through which messages leave and arrive: a [`Producer`] publishes, a [`Consumer`] gives out
//! [`Delivery`] after delivery, and a [`Broker`] makes both.

mod broker_status;
mod definition;
mod delivery;
mod error;
mod rejection;
mod shared;

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::{self, BoxFuture, join_all};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, Stream, StreamExt};

pub use broker_status::{BrokerStatus, ConsumerBounds};
pub use definition::{Channel, ChannelLimits, MakeChannel, Overflow, QueueType};
pub use delivery::{Delivery, MalformedMessage, Settle};
pub use error::{ChannelError, PublishError, SettleError};
pub use rejection::{Rejected, Rejection, RejectionKind, rejection_headers};

use crate::message::Message;

/// Publishes messages.
pub trait Producer: Send + Sync + 'static {
    /// Publishes one message, and returns once the broker has taken responsibility for it: every channel that
    /// wants the topic has its copy, on disk where the broker keeps messages on disk.
    ///
    /// Calls may overlap; messages reach a channel in the order in which the futures were first polled.
    ///
    /// # Errors
    /// See [`PublishError`]. After one the message may still have been taken, unless the error says it was
    /// not; publishing it again with the same id is right.
    fn publish<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), PublishError>>;

    /// Publishes several messages, in their order and all at once, and tells what became of each, in the same
    /// order.
    fn publish_all<'a>(&'a self, messages: Vec<&'a Message>) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        join_all(messages.into_iter().map(|message| self.publish(message))).boxed()
    }

    /// Returns the highest priority that a message can carry; `None`, the default, if it can carry none. A request
    /// with a higher one is refused when it is posted.
    fn highest_priority(&self) -> Option<u8> {
        None
    }
}

/// A message broker: makes consumers of channels, and is a producer itself.
///
/// Implementations reconnect by themselves: an error from one call says nothing about the next.
pub trait Broker: Producer {
    /// The name of the system, as OpenTelemetry's `messaging.system` has it: `rabbitmq`, `in_memory`.
    fn system(&self) -> &'static str;

    /// Makes sure that the channel exists, bound to its routing keys and with its dead-letter and
    /// invalid-message channels, and begins to consume it.
    ///
    /// Dropping the consumer stops it; what it had taken and nobody settled goes back to the channel.
    ///
    /// # Errors
    /// See [`ChannelError`].
    fn consume<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Consumer, ChannelError>>;

    /// How many messages wait in the channel, where the broker can tell; used to scale performers.
    ///
    /// # Errors
    /// See [`ChannelError`].
    fn depth<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Option<u64>, ChannelError>> {
        let _ = channel;
        future::ready(Ok(None)).boxed()
    }

    /// What the broker itself asks of a consumer of the channel, as far as it is known by now.
    fn bounds(&self, channel: &Channel) -> ConsumerBounds {
        let _ = channel;
        ConsumerBounds::default()
    }

    /// Whether the broker can be reached at this moment, for those who watch the health of the process.
    fn status(&self) -> BrokerStatus {
        BrokerStatus::Connected
    }

    /// Writes what is still to be written (acknowledgements, confirms to come), within a deadline of its own,
    /// and closes the connections. Later calls fail.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Gives out the messages of one channel, never more than the channel's buffer at once unsettled.
///
/// As a [`Stream`] it ends with an error when the channel is lost, or with `None` when it was closed.
pub struct Consumer(BoxStream<'static, Result<Delivery, ChannelError>>);

impl Consumer {
    /// A consumer that gives out what the stream gives.
    pub fn new(stream: impl Stream<Item = Result<Delivery, ChannelError>> + Send + 'static) -> Self {
        Self(stream.boxed())
    }

    /// The next delivery. Cancelling loses nothing.
    ///
    /// # Errors
    /// The channel is lost; consume it again.
    pub async fn receive(&mut self) -> Option<Result<Delivery, ChannelError>> {
        self.0.next().await
    }
}

impl Stream for Consumer {
    type Item = Result<Delivery, ChannelError>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(task)
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Consumer")
    }
}
