//! The ports through which messages leave and arrive: a [`Producer`] publishes, a [`Consumer`] receives [`Delivery`]
//! values, and a [`Broker`] makes both.

mod broker_status;
mod consume_again;
mod consumer;
mod definition;
mod delivery;
mod error;
mod rejection;
mod rounds;
mod shared;
mod silent_consumer;
mod usage;

use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture, join_all};

pub use broker_status::{BrokerStatus, ConsumerBounds};
pub use consume_again::{ConsumeAttempts, SteadyConsumer};
pub use consumer::Consumer;
pub use definition::{Channel, ChannelLimits, DeclareMode, Overflow, QueueType};
pub use delivery::{Delivery, MalformedMessage, Settle};
#[doc(hidden)]
pub use error::declared_otherwise;
pub use error::{ChannelError, PublishError, SettleError};
pub use rejection::{Rejected, Rejection, RejectionKind, rejection_headers};
#[doc(hidden)]
pub use rounds::Rounds;
pub use silent_consumer::SilentConsumer;
pub use usage::ChannelUsage;

use crate::message::{ChannelName, Message};

/// Publishes messages.
///
/// A later version adds only methods with a default.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not publish messages",
    label = "does not implement `Producer`",
    note = "implement `brighter::channel::Producer` for `{Self}`: `publish` is enough"
)]
pub trait Producer: Send + Sync + 'static {
    /// Publishes one message, and returns once the broker has taken responsibility for it. Every bound channel then has
    /// its copy, on disk if the broker keeps messages on disk.
    ///
    /// Calls may overlap. Messages reach a channel in the order in which the futures were first polled.
    ///
    /// # Errors
    /// See [`PublishError`]. After an error, some or all channels may have taken the message, unless the error excludes
    /// it. Publish the message again with the same id.
    fn publish<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), PublishError>>;

    /// Publishes several messages at once, in their order, and returns their results in the same order.
    fn publish_all<'a>(&'a self, messages: Vec<&'a Message>) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        join_all(messages.into_iter().map(|message| self.publish(message))).boxed()
    }

    /// Returns the highest priority that a message can carry; `None`, the default, if messages carry none. Posting a
    /// request with a higher priority fails.
    fn highest_priority(&self) -> Option<u8> {
        None
    }
}

/// A message broker: publishes messages and makes consumers of channels.
///
/// Implementations reconnect by themselves: an error from one call says nothing about the next.
///
/// [`system`](Self::system), [`consume`](Self::consume) and [`close`](Self::close) are required. The others have a
/// default, and so has every method that a later version adds. An operation that a broker does not support returns
/// [`ChannelError::Unsupported`]. A broker around another one must forward every method.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a broker",
    label = "does not implement `Broker`",
    note = "pass `InMemoryBroker`, `SqliteBroker` or `RabbitMq`, or implement `Producer` (`publish`) and `Broker` (`system`, `consume`, `close`) of `brighter::channel` for `{Self}`"
)]
pub trait Broker: Producer {
    /// Returns the name of the system for OpenTelemetry's `messaging.system`: `rabbitmq`, `in_memory`.
    fn system(&self) -> &'static str;

    /// Begins to consume the channel. First makes sure that it exists, bound to its routing keys and with its
    /// dead-letter and invalid-message channels.
    ///
    /// Dropping the consumer stops it, and its unsettled messages return to the channel. [`Consumer::close`] does the
    /// same, and returns when it is done.
    ///
    /// # Errors
    /// See [`ChannelError`].
    fn consume<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Consumer, ChannelError>>;

    /// Declares or checks the channel, as its [`declare`](Channel::declare) says, with its bindings and its dead-letter
    /// and invalid-message channels. Nothing is consumed, so messages accumulate in the channel.
    ///
    /// # Errors
    /// See [`consume`](Self::consume). Returns [`ChannelError::Unsupported`], the default, if the broker declares a
    /// channel only for a consumer.
    fn declare<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<(), ChannelError>> {
        let _ = channel;
        future::ready(Err(ChannelError::Unsupported("declaring channels"))).boxed()
    }

    /// Removes one channel with all its messages. Its consumers end. Its dead-letter and invalid-message channels stay.
    /// Removing a channel that does not exist is no error.
    ///
    /// # Errors
    /// See [`ChannelError`]. It is [`ChannelError::Unsupported`], the default, if the broker cannot remove channels.
    fn remove<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<(), ChannelError>> {
        let _ = channel;
        future::ready(Err(ChannelError::Unsupported("removing channels"))).boxed()
    }

    /// Publishes one message to one channel, and to no other that is bound to its topic. Returns once the broker has taken
    /// responsibility for it. A desk sends dead letters back this way.
    ///
    /// # Errors
    /// See [`PublishError`]. It is [`Unroutable`](PublishError::Unroutable) if the channel does not exist, and
    /// [`Unsupported`](PublishError::Unsupported), the default, if the broker cannot do this.
    fn send_to<'a>(
        &'a self,
        channel: &'a ChannelName,
        message: &'a Message,
    ) -> BoxFuture<'a, Result<(), PublishError>> {
        let _ = (channel, message);
        future::ready(Err(PublishError::Unsupported("sending to one channel"))).boxed()
    }

    /// Returns the number of messages that wait in the channel, if the broker knows it. The dispatcher scales
    /// performers by it.
    ///
    /// Only the name of the channel counts, so [`Channel::existing`] is enough to ask.
    ///
    /// # Errors
    /// See [`ChannelError`].
    fn depth<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Option<u64>, ChannelError>> {
        let _ = channel;
        future::ready(Ok(None)).boxed()
    }

    /// Returns how many consumers of the channel this broker has made that are alive now, if it knows. Consumers of other
    /// processes do not count. A dispatcher compares the number with that of its performers.
    fn consumer_count(&self, channel: &ChannelName) -> Option<u64> {
        let _ = channel;
        None
    }

    /// Returns every channel of the broker with its waiting messages and consumers, sorted by name. Use it to find
    /// channels that are full or [abandoned](ChannelUsage::is_abandoned).
    ///
    /// # Errors
    /// See [`ChannelError`]. It is [`ChannelError::Unsupported`], the default, if the broker cannot list channels.
    fn channels(&self) -> BoxFuture<'_, Result<Vec<ChannelUsage>, ChannelError>> {
        future::ready(Err(ChannelError::Unsupported("listing channels"))).boxed()
    }

    /// Returns the processes that hold messages of the broker and have not said for some time that they are alive, for what
    /// watches the health of this one. The default is none: with most brokers a process that dies loses its connection, and
    /// its messages are delivered again at once.
    ///
    /// # Errors
    /// See [`ChannelError`].
    fn silent_consumers(&self) -> BoxFuture<'_, Result<Vec<SilentConsumer>, ChannelError>> {
        future::ready(Ok(Vec::new())).boxed()
    }

    /// Returns the limits that the broker sets for a consumer of the channel, as far as they are known.
    fn bounds(&self, channel: &Channel) -> ConsumerBounds {
        let _ = channel;
        ConsumerBounds::default()
    }

    /// Returns the current state of the connection to the broker, for health checks.
    fn status(&self) -> BrokerStatus {
        BrokerStatus::Connected
    }

    /// Writes every acknowledgement whose call has returned, within a deadline of its own. The default does nothing,
    /// which suits a broker that writes each acknowledgement at once.
    ///
    /// # Errors
    /// Returns an error if some were not written: their messages may be delivered again.
    fn flush(&self) -> BoxFuture<'_, Result<(), SettleError>> {
        future::ready(Ok(())).boxed()
    }

    /// Writes pending acknowledgements and awaits pending confirms, within a deadline of its own, and closes the
    /// connections. Later calls fail.
    fn close(&self) -> BoxFuture<'_, ()>;
}
