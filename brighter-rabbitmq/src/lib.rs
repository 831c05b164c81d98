//! RabbitMQ with safe defaults: every message is confirmed by the broker, stored on disk, and returned if no queue is
//! bound to its topic. It is acknowledged only after its handler is done, and every queue has a dead-letter queue.
//!
//! | concept | in RabbitMQ |
//! |---|---|
//! | a topic | a routing key on one durable exchange, `brighter` by default |
//! | a channel | a durable queue, with `.dlq` and `.invalid` beside it |
//! | a channel's limits | arguments of its queue: see [`Topology`], which shows all of them |
//! | a retry | a confirmed copy through `<queue>.delay.<milliseconds>` back to that queue alone |
//! | a dead letter | a confirmed copy of the original bytes and properties, with the reason in its headers |
//!
//! Messages have the format of Brighter for .NET, so that both can share a queue.
//!
//! Delays are rounded up to two digits (1234 ms to 1300 ms), and are at most 48 days long. A copy for a retry or a dead
//! letter loses the properties `expiration` and `user_id` and the headers `CC` and `BCC`. With these the broker would
//! drop the copy, refuse it, or route it elsewhere.
//!
//! The client library, lapin, logs returned messages with their bodies, as warnings under the target `lapin`. Each of
//! them is a typed error here, so a filter such as `info,lapin=off` hides nothing else.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backoff;
mod channels;
#[cfg(feature = "config")]
mod configure;
mod connection;
mod connections;
mod consume;
mod error;
mod fault;
mod headers;
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
pub use headers::Headers;
pub use options::RabbitMqBuilder;
pub use tls::Tls;
pub use topology::{Argument, Binding, Exchange, ExchangeKind, Purpose, Queue, Topology};
pub use url::without_credentials;

/// Items for the tests of this repository outside of this crate. They may change in any release.
#[doc(hidden)]
pub mod __private {
    pub use super::options::with_longest_delay;
    pub use super::url::read_urls;
    pub use super::wire::{OnTheWire, deep_header, fuzz_nesting, fuzz_wire};
}

/// A RabbitMQ broker. Clones are cheap, and share one connection for publishing and one for consuming. A channel over
/// which RabbitMQ closed the shared connection, or may have, consumes on its own connection until it has done so
/// without failure for a while.
///
/// Reconnects by itself. Unconfirmed messages are then reported as errors, and unsettled ones are delivered again.
///
/// Each connection has buffers for 32 frames in each direction. They take memory as traffic fills them: up to 16 MiB
/// for both connections with the usual frames of 128 KiB, and less than half a MiB while little is sent. A program with
/// many brokers lowers this in the URL: `?frame_max=16384` needs 2 MiB at most. A header of a message must fit in a
/// frame.
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

/// The time that [`Broker::close`] waits for confirms.
const CLOSING: Duration = Duration::from_secs(5);

impl RabbitMq {
    /// Returns the exchange, queues and bindings that a channel needs, without declaring them.
    /// [`declare`](Broker::declare) and [`consume`](Broker::consume) declare them.
    ///
    /// # Errors
    /// Returns an error for an invalid name, or for limits that the queue type does not support.
    pub fn topology(&self, channel: &Channel) -> Result<Topology, ChannelError> {
        self.connections.settings.topology(channel)
    }

    /// Returns the consumers that receive messages now, or would if there were any. A consumer that was lost and has
    /// not consumed again is left out.
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

    /// Starts to connect.
    fn begin(&self) {
        self.connections.publishing.start();
    }

    /// Waits for the first connection and its exchange, up to the limit or without one. If the connection is lost
    /// before the exchange is declared, the next one is awaited within the same limit.
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

    /// The delay queues of the channel expire by themselves.
    fn remove<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<(), ChannelError>> {
        Box::pin(channels::remove(&self.connections, channel))
    }

    fn send_to<'a>(
        &'a self,
        channel: &'a ChannelName,
        message: &'a Message,
    ) -> BoxFuture<'a, Result<(), PublishError>> {
        let connections = &self.connections;
        let make = || publish::outgoing_to(channel, message, &connections.settings);
        Box::pin(connections.publisher.publish(make))
    }

    fn depth<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Option<u64>, ChannelError>> {
        Box::pin(consume::depth(&self.connections, channel))
    }

    fn consumer_count(&self, channel: &ChannelName) -> Option<u64> {
        Some(self.consumers.count(channel) as u64)
    }

    /// Returns the timeout that was set in the builder, because the broker does not report its own. A quorum queue of
    /// RabbitMQ 4 delivers a message 20 times unless the channel sets another limit, which is unknown here.
    fn bounds(&self, channel: &Channel) -> ConsumerBounds {
        let mut bounds = ConsumerBounds::default();
        bounds.settle_timeout = self.connections.settings.consumer_timeout;
        bounds.deliveries = channel.limits.deliveries;
        bounds
    }

    /// Returns the worst status of the connections. A connection that was never needed does not count.
    fn status(&self) -> BrokerStatus {
        self.connections.status()
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), SettleError>> {
        Box::pin(self.consumers.flush())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let connections = &self.connections;
            // A message that was returned may be in flight as a copy, which is still published.
            let _ = timeout(CLOSING, self.consumers.copied()).await;
            connections.closing.cancel();
            // Messages without a confirm by then fail when the connection closes.
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
