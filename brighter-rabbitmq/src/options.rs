//! [`RabbitMqBuilder`]: the settings of a broker.

use std::time::Duration;

use super::headers::{HeaderSettings, Headers};
use super::settings::RabbitMqSettings;
use super::tls::Tls;
use super::topology::delay::LONGEST_DELAY;
use super::topology::{Exchange, ExchangeKind, Topology, plan};
use super::url::{BrokerNodes, split};
use super::{ConnectError, RabbitMq, without_credentials};
use brighter_core::__private::redact;
use brighter_core::channel::{Channel, ChannelError, DeclareMode, QueueType};
use brighter_core::error::InvalidSetting;
use brighter_core::message::{NameError, RoutingKey};

/// Configures a [`RabbitMq`]; made by [`RabbitMq::builder`] or [`RabbitMq::cluster`].
///
/// | setting | default | why |
/// |---|---|---|
/// | exchange | `brighter`, topic, durable | shared by all services that exchange messages |
/// | making the exchange | if it is missing | a first start needs no preparation |
/// | queue type | the virtual host's default | this is classic; set quorum for a cluster |
/// | consumer time-out | 30 minutes | RabbitMQ's own |
/// | connection name | the name of the program | what the broker's lists show |
/// | heartbeat interval | 10 s | a lost network is detected within 20 s |
/// | confirm timeout | 30 s | longer than a busy disk, shorter than patience |
/// | rebalance interval | 1 minute | a node that is back gets its share of the connections soon, and no process moves twice a minute |
/// | connect timeout | 30 s | a broker that starts together with us is up by then |
/// | headers | [`Headers::Full`] | what most gateways of Brighter for .NET and readers of CloudEvents expect |
/// | largest message | 16 MiB | what RabbitMQ 4 takes unless told otherwise |
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use brighter::transport::rabbitmq::{ExchangeKind, RabbitMq};
///
/// let broker = RabbitMq::builder("amqp://guest:guest@localhost:5672/%2f")
///     .exchange("orders", ExchangeKind::Topic)
///     .connection_name("billing")
///     .heartbeat_interval(Duration::from_secs(5))
///     .without_connect_timeout()
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
#[must_use = "call `connect` to connect"]
#[derive(Clone)]
pub struct RabbitMqBuilder {
    pub(super) urls: Vec<String>,
    pub(super) tls: Option<Tls>,
    pub(super) exchange: String,
    pub(super) exchange_kind: ExchangeKind,
    pub(super) declare_exchange: DeclareMode,
    pub(super) queue_type: Option<QueueType>,
    pub(super) consumer_timeout: Option<Duration>,
    pub(super) connection_name: String,
    pub(super) heartbeat_interval: Duration,
    pub(super) confirm_timeout: Duration,
    pub(super) rebalance_interval: Option<Duration>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) max_message_bytes: usize,
    pub(super) longest_delay: Duration,
    pub(super) headers: HeaderSettings,
}

impl RabbitMq {
    /// Connects with every setting at its default: see [`RabbitMqBuilder`]. Waits up to 30 s for a broker that is
    /// unavailable.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        Self::builder(url).connect().await
    }

    /// Returns a builder for this URL. The text may contain several URLs, separated by commas: see
    /// [`cluster`](Self::cluster).
    pub fn builder(url: &str) -> RabbitMqBuilder {
        RabbitMqBuilder::new(vec![url.to_owned()])
    }

    /// Returns a builder for a broker of several nodes, each with its own URL. Each connection prefers the nodes in a
    /// random order of its own, and uses the first that answers. Names are resolved anew for each attempt.
    ///
    /// A connection without any confirm for 8 s, although messages wait, is replaced by one to the next node. A
    /// connection that had to leave its node returns to it: see
    /// [`rebalance_interval`](RabbitMqBuilder::rebalance_interval).
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
}

impl RabbitMqBuilder {
    pub(super) fn new(urls: Vec<String>) -> Self {
        Self {
            urls,
            tls: None,
            exchange: "brighter".to_owned(),
            exchange_kind: ExchangeKind::default(),
            declare_exchange: DeclareMode::default(),
            queue_type: None,
            consumer_timeout: Some(CONSUMER_TIMEOUT),
            connection_name: program(),
            heartbeat_interval: Duration::from_secs(10),
            confirm_timeout: Duration::from_secs(30),
            rebalance_interval: Some(Duration::from_secs(60)),
            connect_timeout: Some(Duration::from_secs(30)),
            max_message_bytes: 16 * 1024 * 1024,
            longest_delay: LONGEST_DELAY,
            headers: HeaderSettings::default(),
        }
    }

    /// Sets the exchange for publishing and for the bindings of channels. It is declared durable.
    pub fn exchange(mut self, name: impl Into<String>, kind: ExchangeKind) -> Self {
        self.exchange = name.into();
        self.exchange_kind = kind;
        self
    }

    /// Sets whether the exchange is declared, checked, or assumed to exist. For a channel, its subscription sets this:
    /// see [`DeclareMode`].
    pub fn declare_exchange(mut self, mode: DeclareMode) -> Self {
        self.declare_exchange = mode;
        self
    }

    /// Sets the headers that messages are published with, for every topic that [`headers_for`](Self::headers_for) does
    /// not name. Consumers read every form, whatever this says.
    pub fn headers(mut self, headers: Headers) -> Self {
        self.headers.set_default(headers);
        self
    }

    /// Sets the headers that messages of one topic are published with.
    ///
    /// ```
    /// use brighter::RabbitMq;
    /// use brighter::transport::rabbitmq::Headers;
    ///
    /// let builder = RabbitMq::builder("amqp://localhost").headers_for("Metrics.Sample", Headers::Lean);
    /// ```
    pub fn headers_for(mut self, topic: impl Into<RoutingKey>, headers: Headers) -> Self {
        self.headers.set(topic.into(), headers);
        self
    }

    /// Sets the queue type of channels that set none. Use [`QueueType::Quorum`] with a cluster: these queues survive
    /// the loss of a node and count deliveries, and messages that they dead-letter themselves are not lost. They need
    /// RabbitMQ 3.10.
    ///
    /// An existing queue keeps its type; declaring it with another type is refused.
    pub fn queue_type(mut self, queue_type: QueueType) -> Self {
        self.queue_type = Some(queue_type);
        self
    }

    /// Sets how long a delivery may stay unsettled before the broker closes the consumer's channel. This is the
    /// broker's setting `consumer_timeout`, which the broker does not report. `None` means that it is disabled.
    pub fn consumer_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.consumer_timeout = timeout;
        self
    }

    /// Returns the exchange, queues and bindings that a channel will need: see [`Topology`].
    ///
    /// # Errors
    /// Returns an error for an invalid name, or for limits that the queue type does not support.
    pub fn topology(&self, channel: &Channel) -> Result<Topology, ChannelError> {
        let exchange = Exchange::new(&self.exchange, self.exchange_kind);
        plan(exchange, self.queue_type, channel)
    }

    /// Sets TLS for every node: your own authority, a client certificate. The URLs must begin with `amqps://`, which
    /// without this setting means TLS with the authorities of the system.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sets the name in the broker's lists and logs. ` publisher` or ` consumer` is appended.
    pub fn connection_name(mut self, name: impl Into<String>) -> Self {
        self.connection_name = name.into();
        self
    }

    /// Sets the interval of heartbeats: a lost network is detected within twice this time. Only whole seconds count,
    /// from 1 to 65535. A `heartbeat` in the URL takes precedence.
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.heartbeat_interval = interval;
        self
    }

    /// Sets how long a publish may take until the broker's confirm. The time includes waiting for a connection and for
    /// room among the messages in flight.
    pub fn confirm_timeout(mut self, timeout: Duration) -> Self {
        self.confirm_timeout = timeout;
        self
    }

    /// Sets how often a connection that had to leave its preferred node checks whether that node is back, between half
    /// this time and all of it. If it is back, the connection moves there. `None` disables this.
    ///
    /// A process moves at most one connection in this time. A move causes no redelivery of a message that can still be
    /// settled: the consumer takes no more messages from the old connection, which stays open until all of its
    /// deliveries are settled. With one URL this setting has no effect.
    pub fn rebalance_interval(mut self, interval: Option<Duration>) -> Self {
        self.rebalance_interval = interval;
        self
    }

    /// Sets how long [`connect`](Self::connect) retries while the broker is unavailable.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// Lets [`connect`](Self::connect) retry until the broker is available, so that a consumer may start before it.
    pub fn without_connect_timeout(mut self) -> Self {
        self.connect_timeout = None;
        self
    }

    /// Sets the largest body that is published, in bytes. A larger body would make the broker close the channel, with
    /// all messages in flight.
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes;
        self
    }

    /// Connects, and declares the exchange. Waits for a broker that is unavailable.
    ///
    /// From then on it reconnects by itself, within 2 s of the broker's return.
    ///
    /// # Errors
    /// See [`ConnectError`]. Returns at once if another attempt cannot succeed, and [`ConnectError::Unreachable`] after
    /// the timeout.
    pub async fn connect(self) -> Result<RabbitMq, ConnectError> {
        let timeout = self.connect_timeout;
        let broker = RabbitMq::open(self.settings(false)?)?;
        broker.established(timeout).await?;
        Ok(broker)
    }

    /// Starts to connect without waiting, for an application that must start while its broker may be unavailable.
    ///
    /// Until the broker answers, [`status`](brighter_core::channel::Broker::status) is `Disconnected` with the reason,
    /// and publishing and consuming fail with a connection error after a few seconds. The attempts continue with pauses
    /// of at most 2 s. A refusal, such as a wrong password, is no error here: it appears in the status and the log, and
    /// is retried every 15 s. An exchange with other settings is reported when it is used.
    ///
    /// A tokio runtime is not needed.
    ///
    /// # Errors
    /// Returns [`ConnectError::Url`], [`ConnectError::Setting`], [`ConnectError::Exchange`] or [`ConnectError::Tls`]
    /// for invalid settings, and [`ConnectError::Thread`] if no thread can be started.
    pub fn connect_lazily(self) -> Result<RabbitMq, ConnectError> {
        let broker = RabbitMq::open(self.settings(true)?)?;
        broker.begin();
        Ok(broker)
    }

    pub(super) fn settings(self, lazy: bool) -> Result<RabbitMqSettings, ConnectError> {
        let mut address = BrokerNodes::parse(&self.urls)?;
        let heartbeat = u16::try_from(self.heartbeat_interval.as_secs()).unwrap_or_default();
        if heartbeat == 0 {
            let value = format_args!("{:?}", self.heartbeat_interval);
            let invalid = InvalidSetting::new("heartbeat_interval", value, "between 1s and 65535s");
            return Err(ConnectError::Setting(invalid));
        }
        for node in address.iter_mut() {
            node.uri.query.heartbeat.get_or_insert(heartbeat);
            if let Some(tls) = &self.tls {
                if !node.speaks_tls() {
                    return Err(ConnectError::Url {
                        reason: "there are TLS settings, so it must begin with `amqps://`".into(),
                    });
                }
                tls.check(&node.uri.authority.host)
                    .map_err(|fault| ConnectError::Tls {
                        address: node.to_string(),
                        fault,
                        source: None,
                    })?;
            }
        }
        if let Some(interval) = self
            .rebalance_interval
            .filter(|interval| *interval < SHORTEST_REBALANCE)
        {
            let invalid = InvalidSetting::new(
                "rebalance_interval",
                format_args!("{interval:?}"),
                "1s or more, or `None`",
            );
            return Err(ConnectError::Setting(invalid));
        }
        check(&self.exchange).map_err(|error| ConnectError::Exchange {
            exchange: redact::text(&self.exchange).chars().take(48).collect(),
            reason: error.to_string(),
        })?;
        Ok(RabbitMqSettings {
            address,
            tls: self.tls.unwrap_or_default(),
            lazy,
            exchange: self.exchange,
            exchange_kind: self.exchange_kind,
            declare_exchange: self.declare_exchange,
            queue_type: self.queue_type,
            consumer_timeout: self.consumer_timeout,
            connection_name: self.connection_name,
            confirm_timeout: self.confirm_timeout,
            rebalance_interval: self.rebalance_interval,
            max_message_bytes: self.max_message_bytes,
            longest_delay: self.longest_delay,
            headers: self.headers,
        })
    }
}

impl std::fmt::Debug for RabbitMqBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let urls = self.urls.iter().flat_map(|urls| split(urls));
        f.debug_struct("RabbitMqBuilder")
            .field("urls", &urls.map(without_credentials).collect::<Vec<_>>())
            .field("tls", &self.tls)
            .field("exchange", &redact::text(&self.exchange))
            .field("exchange_kind", &self.exchange_kind)
            .finish_non_exhaustive()
    }
}

/// A shorter interval would keep a process moving.
const SHORTEST_REBALANCE: Duration = Duration::from_secs(1);
/// RabbitMQ's own default.
const CONSUMER_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// The name of an exchange follows the rules of a routing key.
fn check(exchange: &str) -> Result<(), NameError> {
    RoutingKey::from(exchange).validate()
}

fn program() -> String {
    let path = std::env::current_exe().ok();
    let name = path.as_ref().and_then(|path| path.file_stem());
    name.map_or_else(|| "brighter".into(), |name| name.to_string_lossy().into_owned())
}

/// Sets the longest delay of one queue, so that a test need not wait for 48 days.
pub fn with_longest_delay(mut builder: RabbitMqBuilder, time: Duration) -> RabbitMqBuilder {
    builder.longest_delay = time;
    builder
}
