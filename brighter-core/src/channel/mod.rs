//! The ports through which messages leave and arrive: a [`Producer`] publishes, a [`Consumer`] gives out
//! [`Delivery`] after delivery, and a [`Broker`] makes both.

mod broker_status;
mod consume_again;
mod consumer;
mod definition;
mod delivery;
mod error;
mod rejection;
mod rounds;
mod shared;
mod usage;

use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture, join_all};

pub use broker_status::{BrokerStatus, ConsumerBounds};
pub use consume_again::{ConsumeAttempts, SteadyConsumer};
pub use consumer::Consumer;
pub use definition::{Channel, ChannelLimits, MakeChannel, Overflow, QueueType};
pub use delivery::{Delivery, MalformedMessage, Settle};
#[doc(hidden)]
pub use error::declared_otherwise;
pub use error::{ChannelError, PublishError, SettleError};
pub use rejection::{Rejected, Rejection, RejectionKind, rejection_headers};
#[doc(hidden)]
pub use rounds::Rounds;
pub use usage::ChannelUsage;

use crate::message::{ChannelName, Message};

/// Publishes messages.
///
/// A later version adds methods with a default only.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not publish messages",
    label = "does not implement `Producer`",
    note = "implement `brighter::channel::Producer` for `{Self}`: `publish` is enough"
)]
pub trait Producer: Send + Sync + 'static {
    /// Publishes one message, and returns once the broker has taken responsibility for it: every channel that
    /// wants the topic has its copy, on disk where the broker keeps messages on disk.
    ///
    /// Calls may overlap; messages reach a channel in the order in which the futures were first polled.
    ///
    /// # Errors
    /// See [`PublishError`]. After one the message may still have been taken, by some channels or by all, unless the
    /// error says it was not; publishing it again with the same id is right.
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
///
/// [`system`](Self::system), [`consume`](Self::consume) and [`close`](Self::close) are required. The others have a
/// default, and so has every method that a later version adds: what a broker cannot do is
/// [`ChannelError::Unsupported`], and nothing is pretended. A broker around another one passes every method on.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a broker",
    label = "does not implement `Broker`",
    note = "pass `InMemoryBroker`, `SqliteBroker` or `RabbitMq`, or implement `Producer` (`publish`) and `Broker` (`system`, `consume`, `close`) of `brighter::channel` for `{Self}`"
)]
pub trait Broker: Producer {
    /// Returns the name of the system, as OpenTelemetry's `messaging.system` has it: `rabbitmq`, `in_memory`.
    fn system(&self) -> &'static str;

    /// Makes sure that the channel exists, bound to its routing keys and with its dead-letter and
    /// invalid-message channels, and begins to consume it.
    ///
    /// Dropping the consumer stops it; what it had taken and nobody settled goes back to the channel.
    /// [`Consumer::close`] does so too, and returns when it is done.
    ///
    /// # Errors
    /// See [`ChannelError`].
    fn consume<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Consumer, ChannelError>>;

    /// Makes the channel, or looks for it, as its [`make`](Channel::make) says and as consuming it would: with what it
    /// is bound to, and its dead-letter and invalid-message channels. Consumes nothing, so messages gather in it.
    ///
    /// # Errors
    /// As [`consume`](Self::consume); [`ChannelError::Unsupported`], the default, if the broker makes a channel only
    /// for a consumer.
    fn declare<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<(), ChannelError>> {
        let _ = channel;
        future::ready(Err(ChannelError::Unsupported("declaring channels"))).boxed()
    }

    /// Removes one channel with all messages in it. Its consumers end, and its dead-letter and invalid-message channels
    /// stay: they have names of their own. To remove a channel that does not exist is no error.
    ///
    /// # Errors
    /// See [`ChannelError`]; [`ChannelError::Unsupported`], the default, if the broker cannot.
    fn remove<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<(), ChannelError>> {
        let _ = channel;
        future::ready(Err(ChannelError::Unsupported("removing channels"))).boxed()
    }

    /// Returns how many messages wait in the channel, where the broker can tell; used to scale performers.
    ///
    /// # Errors
    /// See [`ChannelError`].
    fn depth<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Option<u64>, ChannelError>> {
        let _ = channel;
        future::ready(Ok(None)).boxed()
    }

    /// Returns how many consumers of the channel this broker has given out that are alive now, where it can tell; those
    /// of other processes do not count. A dispatcher compares it with its performers.
    fn consumer_count(&self, channel: &ChannelName) -> Option<u64> {
        let _ = channel;
        None
    }

    /// Returns every channel of the broker, with what waits in it and who consumes it, in the order of their names: to
    /// find those that are full or [abandoned](ChannelUsage::is_abandoned).
    ///
    /// # Errors
    /// See [`ChannelError`]; [`ChannelError::Unsupported`], the default, if the broker cannot list them.
    fn channels(&self) -> BoxFuture<'_, Result<Vec<ChannelUsage>, ChannelError>> {
        future::ready(Err(ChannelError::Unsupported("listing channels"))).boxed()
    }

    /// Returns what the broker itself asks of a consumer of the channel, as far as it is known by now.
    fn bounds(&self, channel: &Channel) -> ConsumerBounds {
        let _ = channel;
        ConsumerBounds::default()
    }

    /// Returns whether the broker can be reached at this moment, for what watches the health of the process.
    fn status(&self) -> BrokerStatus {
        BrokerStatus::Connected
    }

    /// Writes every acknowledgement whose call has returned, within a deadline of its own. The default does nothing,
    /// which is right for a broker that writes each at once.
    ///
    /// # Errors
    /// Some may not be written: their messages may come again.
    fn flush(&self) -> BoxFuture<'_, Result<(), SettleError>> {
        future::ready(Ok(())).boxed()
    }

    /// Writes what is still to be written (acknowledgements, confirms to come), within a deadline of its own,
    /// and closes the connections. Later calls fail.
    fn close(&self) -> BoxFuture<'_, ()>;
}
