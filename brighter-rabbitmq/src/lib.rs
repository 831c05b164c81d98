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

mod ack_window;
mod backoff;
mod channels;
#[cfg(feature = "config")]
mod configure;
mod connection;
mod connector;
mod consumer;
mod delay;
mod depth;
mod desk;
mod error;
mod fault;
mod gate;
mod io;
mod lane;
mod options;
mod publisher;
mod queue;
mod returns;
mod settle;
mod tls;
mod topology;
mod url;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub use error::ConnectError;
pub use fault::TlsFault;
pub use lane::LiveConsumer;
pub use options::{ExchangeKind, RabbitMqBuilder};
pub use tls::Tls;
pub use topology::{Argument, Binding, Exchange, Purpose, Queue, Topology};
pub use url::without_credentials;
#[cfg(feature = "_micro")]
pub use wire::OnTheWire;
#[cfg(feature = "_fuzz")]
pub use wire::fuzz_wire;

use brighter_core::channel::{
    Broker, BrokerStatus, Channel, ChannelError, Consumer, ConsumerBounds, Producer, PublishError,
    SettleError,
};
use brighter_core::message::{ChannelName, Message};
use connection::{Link, Role};
use delay::Delays;
use io::Io;
use lane::Lanes;
use options::Settings;
use publisher::Publisher;

/// A RabbitMQ broker. Clones are cheap, and share one connection that publishes and one that consumes.
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
pub struct RabbitMq(Arc<Shared>);

/// What all clones share, and every delivery until it is settled.
struct Shared {
    settings: Arc<Settings>,
    publishing: Arc<Link>,
    consuming: Link,
    publisher: Publisher,
    delays: Delays,
    lanes: Lanes,
    /// No more messages are taken to be published.
    closing: CancellationToken,
    /// The connections go.
    disconnect: CancellationToken,
    /// For what a drop has to leave to later.
    runtime: Io,
}

/// How long [`Broker::close`] waits for confirms.
const CLOSING: Duration = Duration::from_secs(5);

impl RabbitMq {
    /// Connects with every setting at its default: see [`RabbitMqBuilder`]. A broker that is away is waited
    /// for, 30 s at most.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        Self::builder(url).connect().await
    }

    /// Says how to connect, before it is done. The URL may be several, with commas between them: see
    /// [`cluster`](Self::cluster).
    pub fn builder(url: &str) -> RabbitMqBuilder {
        RabbitMqBuilder::new(vec![url.to_owned()])
    }

    /// What a channel needs of the broker, to be looked at; [`declare`](Broker::declare) and
    /// [`consume`](Broker::consume) make it.
    ///
    /// # Errors
    /// A name that no broker takes, or limits that the type of queue does not have.
    pub fn topology(&self, channel: &Channel) -> Result<Topology, ChannelError> {
        self.0.settings.topology(channel)
    }

    /// The same for a broker of several nodes, each with a URL of its own. A connection goes to one that
    /// answers, with a random one asked first; names are looked up anew for each attempt.
    ///
    /// ```
    /// use brighter::RabbitMq;
    ///
    /// let builder = RabbitMq::cluster(["amqp://app:secret@rabbit-1/orders", "amqp://app:secret@rabbit-2/orders"]);
    /// # assert!(!format!("{builder:?}").contains("secret"));
    /// ```
    pub fn cluster(urls: impl IntoIterator<Item = impl Into<String>>) -> RabbitMqBuilder {
        RabbitMqBuilder::new(urls.into_iter().map(Into::into).collect())
    }

    /// The consumers that get messages at this moment, or would if there were any: what was lost and is not
    /// consumed again yet is not among them.
    #[must_use]
    pub fn consumers(&self) -> Vec<LiveConsumer> {
        self.0.lanes.consumers()
    }

    fn open(settings: Settings) -> Result<Self, ConnectError> {
        let settings = Arc::new(settings);
        let io = Io::shared().map_err(|error| ConnectError::Thread(Arc::new(error)))?;
        let (closing, disconnect) = (CancellationToken::new(), CancellationToken::new());
        let link = |role| Link::new(role, Arc::clone(&settings), io.clone(), disconnect.clone());
        let publishing = Arc::new(link(Role::Publisher));
        let publisher = Publisher::start(
            Arc::clone(&publishing),
            Arc::clone(&settings),
            &io,
            closing.clone(),
        );
        Ok(Self(Arc::new(Shared {
            consuming: link(Role::Consumer),
            publishing,
            publisher,
            delays: Delays::default(),
            lanes: Lanes::default(),
            settings,
            closing,
            disconnect,
            runtime: io,
        })))
    }

    /// Begins to connect.
    fn begin(&self) {
        self.0.publishing.start();
    }

    /// Waits for the first connection, until the limit or for ever, and for its exchange. A connection that goes
    /// before the exchange is there is waited for again, within the same limit.
    async fn established(&self, limit: Option<Duration>) -> Result<(), ConnectError> {
        let begun = Instant::now();
        loop {
            let left = limit.map(|limit| limit.saturating_sub(begun.elapsed()));
            let open = self.0.publishing.established(left).await?;
            match publisher::check_exchange(&open.connection, &self.0.settings).await {
                Err(error) if !error.is_fatal() && !open.is_alive() && left != Some(Duration::ZERO) => {}
                done => return done,
            }
        }
    }
}

impl Producer for RabbitMq {
    fn publish<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), PublishError>> {
        let shared = &self.0;
        let make = || publisher::outgoing(message, &shared.settings);
        Box::pin(shared.publisher.publish(make))
    }

    fn publish_all<'a>(&'a self, messages: Vec<&'a Message>) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        let shared = &self.0;
        let make = |message| publisher::outgoing(message, &shared.settings);
        Box::pin(async move { shared.publisher.publish_all(&messages, make).await })
    }
}

impl Broker for RabbitMq {
    fn system(&self) -> &'static str {
        "rabbitmq"
    }

    fn consume<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Consumer, ChannelError>> {
        Box::pin(consumer::consume(&self.0, channel))
    }

    fn declare<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<(), ChannelError>> {
        Box::pin(channels::declare(&self.0, channel))
    }

    /// The queues in which messages of the channel waited for a delay go by themselves when their time is over.
    fn remove<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<(), ChannelError>> {
        Box::pin(channels::remove(&self.0, channel))
    }

    fn depth<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Option<u64>, ChannelError>> {
        Box::pin(depth::depth(&self.0, channel))
    }

    /// The time-out is what the builder was told, as the broker does not tell it. A quorum queue of RabbitMQ 4
    /// delivers 20 times unless the channel says otherwise, which is not known here.
    fn bounds(&self, channel: &Channel) -> ConsumerBounds {
        let mut bounds = ConsumerBounds::default();
        bounds.settle_within = self.0.settings.consumer_timeout;
        bounds.deliveries = channel.limits.deliveries;
        bounds
    }

    /// The worse of the two connections'; one that nobody has needed yet does not count.
    fn status(&self) -> BrokerStatus {
        let shared = &self.0;
        if shared.closing.is_cancelled() {
            return BrokerStatus::Closed;
        }
        let links = [&*shared.publishing, &shared.consuming];
        let found = links.into_iter().filter_map(Link::status);
        found.max_by_key(badness).unwrap_or(BrokerStatus::Connected)
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), SettleError>> {
        Box::pin(self.0.lanes.flush())
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let shared = &self.0;
            shared.closing.cancel();
            // What is not confirmed by then is told so when the connection goes.
            let _ = timeout(CLOSING, shared.publisher.done()).await;
            shared.lanes.write_all();
            shared.disconnect.cancel();
            let gone = futures_util::future::join(shared.publishing.closed(), shared.consuming.closed());
            let _ = timeout(CLOSING, gone).await;
        })
    }
}

fn badness(status: &BrokerStatus) -> u8 {
    match status {
        BrokerStatus::Connected => 0,
        BrokerStatus::Blocked { .. } => 1,
        BrokerStatus::Disconnected { .. } => 2,
        _ => 3,
    }
}

impl fmt::Debug for RabbitMq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitMq")
            .field("address", &self.0.settings.address)
            .field("exchange", &self.0.settings.exchange)
            .finish_non_exhaustive()
    }
}
