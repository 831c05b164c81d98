//! RabbitMQ, safe as it comes: every message is confirmed by the broker, kept on disk and returned when no
//! queue wants it; it is acknowledged only after its handler is done; and every queue has a dead-letter queue.
//!
//! | what | how |
//! |---|---|
//! | a topic | a routing key on one durable exchange, `brighter` unless said otherwise |
//! | a channel | a durable queue, with `.dlq` and `.invalid` beside it |
//! | a channel's limits | arguments of its queue: see [`Topology`], which shows them all |
//! | a retry | a confirmed copy through `<queue>.delay.<milliseconds>` back to that queue alone |
//! | a dead letter | a confirmed copy of the original bytes and properties, with the reason in its headers |
//!
//! Messages have the form of Brighter for .NET, so that both can share a queue.
//!
//! Delays are rounded up to two digits (1234 ms to 1300 ms), and last 48 days at most. A copy that is sent
//! again or set aside loses the properties `expiration` and `user_id` and the headers `CC` and `BCC`, with
//! which the broker would lose it, refuse it, or send it elsewhere.
//!
//! The client library, lapin, writes messages that come back into the log, with their bodies, as warnings under
//! the target `lapin`. Every one of them is a typed error here, so a filter such as `info,lapin=off` loses nothing.

mod backoff;
mod channels;
#[cfg(feature = "config")]
mod configure;
mod connection;
mod connections;
mod consume;
mod error;
mod fault;
mod options;
mod publish;
mod settings;
mod tls;
mod topology;
mod url;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::time::timeout;

use brighter_core::channel::{
    Broker, BrokerStatus, Channel, ChannelError, Consumer, ConsumerBounds, Producer, PublishError,
    SettleError,
};
use brighter_core::message::{ChannelName, Message};
use connections::Connections;
use consume::LiveConsumers;
use settings::RabbitMqSettings;

pub use consume::LiveConsumer;
pub use error::ConnectError;
pub use fault::TlsFault;
pub use options::RabbitMqBuilder;
pub use tls::Tls;
pub use topology::{Argument, Binding, Exchange, ExchangeKind, Purpose, Queue, Topology};
pub use url::without_credentials;

/// Doors for the tests of this repository that stand outside this crate. Not for people: they may change in any release.
#[doc(hidden)]
pub mod __private {
    pub use super::options::with_longest_delay;
    pub use super::url::read_urls;
    pub use super::wire::{OnTheWire, deep_header, fuzz_nesting, fuzz_wire};
}

/// A RabbitMQ broker. Clones are cheap, and share one connection that publishes and one that consumes. A channel over
/// which RabbitMQ has closed that, or may have, consumes by a connection of its own, until it has done so well for a while.
///
/// Reconnects by itself; what was not confirmed or not acknowledged by then is told, or delivered again.
///
/// Each connection has room for 32 frames in each direction. The room takes memory as traffic fills it: up to 16 MiB
/// for both connections with the usual frames of 128 KiB, and under half a MiB while little is sent. A program with many
/// brokers lowers it by the URL: `?frame_max=16384` is 2 MiB at most. A header of a message must fit a frame.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use brighter::channel::{Broker, Channel, Producer};
/// use brighter::message::{Message, MessageBody, MessageHeader, MessageType};
/// use brighter::{MessageId, RabbitMq};
///
/// let broker = RabbitMq::connect("amqp://guest:guest@localhost:5672/%2f").await?;
/// let mut tasks = broker.consume(&Channel::new("tasks", "Task.*")).await?;
///
/// let header = MessageHeader::new(MessageId::new(), "Task.Reminder", MessageType::Command);
/// broker.publish(&Message::new(header, MessageBody::new("{}"))).await?;
///
/// if let Some(delivery) = tasks.receive().await {
///     delivery?.ack().await?;
/// }
/// broker.close().await;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct RabbitMq {
    connections: Arc<Connections>,
    consumers: Arc<LiveConsumers>,
}

/// How long [`Broker::close`] waits for confirms.
const CLOSING: Duration = Duration::from_secs(5);

impl RabbitMq {
    /// What a channel needs of the broker, to be looked at; [`declare`](Broker::declare) and
    /// [`consume`](Broker::consume) make it.
    ///
    /// # Errors
    /// A name that no broker takes, or limits that the type of queue does not have.
    pub fn topology(&self, channel: &Channel) -> Result<Topology, ChannelError> {
        self.connections.settings.topology(channel)
    }

    /// The consumers that get messages at this moment, or would if there were any: what was lost and is not
    /// consumed again yet is not among them.
    #[must_use]
    pub fn consumers(&self) -> Vec<LiveConsumer> {
        self.consumers.consumers()
    }

    fn open(settings: RabbitMqSettings) -> Result<Self, ConnectError> {
        Ok(Self {
            connections: Arc::new(Connections::open(settings)?),
            consumers: Arc::default(),
        })
    }

    /// Begins to connect.
    fn begin(&self) {
        self.connections.publishing.start();
    }

    /// Waits for the first connection, until the limit or for ever, and for its exchange. A connection that goes
    /// before the exchange is there is waited for again, within the same limit.
    async fn established(&self, limit: Option<Duration>) -> Result<(), ConnectError> {
        let begun = Instant::now();
        loop {
            let left = limit.map(|limit| limit.saturating_sub(begun.elapsed()));
            let open = self.connections.publishing.established(left).await?;
            match publish::check_exchange(&open, &self.connections.settings).await {
                Err(error) if !error.is_fatal() && !open.is_alive() && left != Some(Duration::ZERO) => {}
                done => return done,
            }
        }
    }
}

impl Producer for RabbitMq {
    fn publish<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), PublishError>> {
        let connections = &self.connections;
        let make = || publish::outgoing(message, &connections.settings);
        Box::pin(connections.publisher.publish(make))
    }

    fn publish_all<'a>(&'a self, messages: Vec<&'a Message>) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        let connections = &self.connections;
        let make = |message| publish::outgoing(message, &connections.settings);
        Box::pin(async move { connections.publisher.publish_all(&messages, make).await })
    }

    fn highest_priority(&self) -> Option<u8> {
        Some(u8::MAX)
    }
}

impl Broker for RabbitMq {
    fn system(&self) -> &'static str {
        "rabbitmq"
    }

    fn consume<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Consumer, ChannelError>> {
        Box::pin(consume::consume(&self.connections, &self.consumers, channel))
    }

    fn declare<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<(), ChannelError>> {
        Box::pin(channels::declare(&self.connections, channel))
    }

    /// The queues in which messages of the channel waited for a delay go by themselves when their time is over.
    fn remove<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<(), ChannelError>> {
        Box::pin(channels::remove(&self.connections, channel))
    }

    fn depth<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Option<u64>, ChannelError>> {
        Box::pin(consume::depth(&self.connections, channel))
    }

    fn consumer_count(&self, channel: &ChannelName) -> Option<u64> {
        Some(self.consumers.count(channel) as u64)
    }

    /// The time-out is what the builder was told, as the broker does not tell it. A quorum queue of RabbitMQ 4
    /// delivers 20 times unless the channel says otherwise, which is not known here.
    fn bounds(&self, channel: &Channel) -> ConsumerBounds {
        let mut bounds = ConsumerBounds::default();
        bounds.settle_timeout = self.connections.settings.consumer_timeout;
        bounds.deliveries = channel.limits.deliveries;
        bounds
    }

    /// The worst status of the connections; one that nobody has needed yet does not count.
    fn status(&self) -> BrokerStatus {
        self.connections.status()
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), SettleError>> {
        Box::pin(self.consumers.flush())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let connections = &self.connections;
            // What was given back may be on its way as a copy, which is published.
            let _ = timeout(CLOSING, self.consumers.copied()).await;
            connections.closing.cancel();
            // What is not confirmed by then is told so when the connection goes.
            let _ = timeout(CLOSING, connections.publisher.done()).await;
            self.consumers.write_all();
            connections.disconnect.cancel();
            let _ = timeout(CLOSING, connections.closed()).await;
        })
    }
}

impl fmt::Debug for RabbitMq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitMq")
            .field("address", &self.connections.settings.address)
            .field("exchange", &self.connections.settings.exchange)
            .finish_non_exhaustive()
    }
}
