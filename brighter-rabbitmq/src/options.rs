//! [`RabbitMqBuilder`]: how to connect, and what to publish to.

use std::time::Duration;

use super::settings::RabbitMqSettings;
use super::tls::Tls;
use super::topology::delay::LONGEST_DELAY;
use super::topology::{Exchange, ExchangeKind, Topology, plan};
use super::url::{BrokerNodes, split};
use super::wire::Spelling;
use super::{ConnectError, RabbitMq, without_credentials};
use brighter_core::channel::{Channel, ChannelError, MakeChannel, QueueType};
use brighter_core::error::InvalidSetting;
use brighter_core::message::{NameError, RoutingKey};

/// Sets up a [`RabbitMq`]; made by [`RabbitMq::builder`] or [`RabbitMq::cluster`].
///
/// | setting | default | why |
/// |---|---|---|
/// | exchange | `brighter`, topic, durable | shared by all who speak with each other |
/// | making the exchange | where it is missing | a first start wants no preparation |
/// | queue type | the virtual host's default | which is classic; say quorum where the broker is a cluster |
/// | consumer time-out | 30 minutes | RabbitMQ's own |
/// | connection name | the name of the program | what the broker's lists show |
/// | heartbeat interval | 10 s | a lost network is noticed within 20 s |
/// | confirm timeout | 30 s | longer than a busy disk, shorter than patience |
/// | rebalance interval | 1 minute | a node that is back gets its share of the connections soon, and no process moves twice a minute |
/// | connect timeout | 30 s | a broker that starts together with us is up by then |
/// | headers of CloudEvents | `cloudEvents_id` and the like | what most gateways of Brighter for .NET read |
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
    pub(super) make_exchange: MakeChannel,
    pub(super) queue_type: Option<QueueType>,
    pub(super) consumer_timeout: Option<Duration>,
    pub(super) connection_name: String,
    pub(super) heartbeat_interval: Duration,
    pub(super) confirm_timeout: Duration,
    pub(super) rebalance_interval: Option<Duration>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) max_message_bytes: usize,
    pub(super) longest_delay: Duration,
    pub(super) spelling: Spelling,
}

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

    /// The same for a broker of several nodes, each with a URL of its own. Each connection prefers the nodes in a random
    /// order of its own, and goes to the first that answers; names are looked up anew for each attempt.
    ///
    /// A connection on which nothing is confirmed for 8 s, although messages wait, is given up for the next node. One
    /// that had to leave its node goes back to it: see [`rebalance_interval`](RabbitMqBuilder::rebalance_interval).
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
            make_exchange: MakeChannel::default(),
            queue_type: None,
            consumer_timeout: Some(CONSUMER_TIMEOUT),
            connection_name: program(),
            heartbeat_interval: Duration::from_secs(10),
            confirm_timeout: Duration::from_secs(30),
            rebalance_interval: Some(Duration::from_secs(60)),
            connect_timeout: Some(Duration::from_secs(30)),
            max_message_bytes: 16 * 1024 * 1024,
            longest_delay: LONGEST_DELAY,
            spelling: Spelling::default(),
        }
    }

    /// Publishes to, and binds channels to, this exchange, which is declared durable.
    pub fn exchange(mut self, name: impl Into<String>, kind: ExchangeKind) -> Self {
        self.exchange = name.into();
        self.exchange_kind = kind;
        self
    }

    /// Declares the exchange where it is missing, only looks whether it is there, or takes it for granted. For
    /// a channel its subscription decides: see [`MakeChannel`].
    pub fn make_exchange(mut self, make: MakeChannel) -> Self {
        self.make_exchange = make;
        self
    }

    /// Writes the fields of CloudEvents with a colon too, such as `cloudEvents:id` beside `cloudEvents_id`. Say so where
    /// consumers use the synchronous gateway of Brighter for .NET, which reads no other; it costs some 200 bytes a message.
    /// The trace is written in both spellings always, and both are read.
    pub fn both_spellings(mut self, both: bool) -> Self {
        self.spelling = if both { Spelling::Both } else { Spelling::Usual };
        self
    }

    /// Keeps channels in this way unless they say otherwise. Say [`QueueType::Quorum`] where the broker is a
    /// cluster: its queues outlive the loss of a node, they count deliveries, and what they put in the
    /// dead-letter channel by themselves arrives there. They need RabbitMQ 3.10.
    ///
    /// A queue that exists keeps its type, and is refused under another.
    pub fn queue_type(mut self, queue_type: QueueType) -> Self {
        self.queue_type = Some(queue_type);
        self
    }

    /// Says how long the broker lets a delivery go unsettled before it takes its consumer for dead: its
    /// setting `consumer_timeout`, which it does not tell. `None` when it is switched off.
    pub fn consumer_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.consumer_timeout = timeout;
        self
    }

    /// What a channel will need of the broker, to be looked at: see [`Topology`].
    ///
    /// # Errors
    /// A name that no broker takes, or limits that the type of queue does not have.
    pub fn topology(&self, channel: &Channel) -> Result<Topology, ChannelError> {
        let exchange = Exchange::new(&self.exchange, self.exchange_kind);
        plan(exchange, self.queue_type, channel)
    }

    /// Speaks TLS in this way with every node: an authority of one's own, a client certificate. The URLs must
    /// begin with `amqps://`, which alone asks for TLS with what the system trusts.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Shows this name in the broker's lists and logs; ` publisher` or ` consumer` follows it.
    pub fn connection_name(mut self, name: impl Into<String>) -> Self {
        self.connection_name = name.into();
        self
    }

    /// Notices within twice this time that the network is gone. Whole seconds count, from 1 to 65535; a `heartbeat` in
    /// the URL wins.
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.heartbeat_interval = interval;
        self
    }

    /// Gives up on a publish that the broker has not confirmed within this time, waiting for a place in the
    /// window and for a connection included.
    pub fn confirm_timeout(mut self, timeout: Duration) -> Self {
        self.confirm_timeout = timeout;
        self
    }

    /// Says how often a connection that had to leave the node that it prefers looks whether that is back, between half
    /// this time and all of it; then it moves there. `None` lets it stay where it is.
    ///
    /// A process moves one connection in this time at most. Nothing that can be settled is delivered again by a move: a
    /// consumer takes no more messages by the old connection, which lasts until all that it brought is settled. With one
    /// URL there is nowhere to move to.
    pub fn rebalance_interval(mut self, interval: Option<Duration>) -> Self {
        self.rebalance_interval = interval;
        self
    }

    /// Lets [`connect`](Self::connect) try for this long to reach a broker that is away.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// Lets [`connect`](Self::connect) try until the broker is there, so that a worker may start before it.
    pub fn without_connect_timeout(mut self) -> Self {
        self.connect_timeout = None;
        self
    }

    /// Refuses to publish a body larger than this many bytes: the broker would close the channel over it, with
    /// all messages that are on their way.
    pub fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes;
        self
    }

    /// Connects, and declares the exchange. A broker that is away is waited for.
    ///
    /// Reconnects by itself from then on, within 2 s of the broker's return.
    ///
    /// # Errors
    /// See [`ConnectError`]: at once where waiting is no use, and [`ConnectError::Unreachable`] when the time
    /// is up.
    pub async fn connect(self) -> Result<RabbitMq, ConnectError> {
        let timeout = self.connect_timeout;
        let broker = RabbitMq::open(self.settings(false)?)?;
        broker.established(timeout).await?;
        Ok(broker)
    }

    /// Begins to connect, and does not wait: for an application that must start while its broker may be away.
    ///
    /// Until the broker answers, [`status`](brighter_core::channel::Broker::status) is `Disconnected` and says why,
    /// and publishing and consuming fail with a connection error after a few seconds; the attempts go on with
    /// pauses of 2 s at most. A refusal, such as a wrong password, is no error here: it is in the status and
    /// the log, and is tried again every 15 s. An exchange of another form shows when it is used.
    ///
    /// Needs no runtime around it.
    ///
    /// # Errors
    /// [`ConnectError::Url`], [`ConnectError::Setting`], [`ConnectError::Exchange`] and [`ConnectError::Tls`] when what
    /// was given cannot be right, [`ConnectError::Thread`] when the machine has no thread left.
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
            exchange: self.exchange.chars().take(48).collect(),
            reason: error.to_string(),
        })?;
        Ok(RabbitMqSettings {
            address,
            tls: self.tls.unwrap_or_default(),
            lazy,
            exchange: self.exchange,
            exchange_kind: self.exchange_kind,
            make_exchange: self.make_exchange,
            queue_type: self.queue_type,
            consumer_timeout: self.consumer_timeout,
            connection_name: self.connection_name,
            confirm_timeout: self.confirm_timeout,
            rebalance_interval: self.rebalance_interval,
            max_message_bytes: self.max_message_bytes,
            longest_delay: self.longest_delay,
            spelling: self.spelling,
        })
    }
}

impl std::fmt::Debug for RabbitMqBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let urls = self.urls.iter().flat_map(|urls| split(urls));
        f.debug_struct("RabbitMqBuilder")
            .field("urls", &urls.map(without_credentials).collect::<Vec<_>>())
            .field("tls", &self.tls)
            .field("exchange", &self.exchange)
            .field("exchange_kind", &self.exchange_kind)
            .finish_non_exhaustive()
    }
}

/// A process would do nothing else.
const SHORTEST_REBALANCE: Duration = Duration::from_secs(1);
/// RabbitMQ's own default.
const CONSUMER_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// The rules for the name of an exchange are those for a routing key.
fn check(exchange: &str) -> Result<(), NameError> {
    RoutingKey::from(exchange).validate()
}

fn program() -> String {
    let path = std::env::current_exe().ok();
    let name = path.as_ref().and_then(|path| path.file_stem());
    name.map_or_else(|| "brighter".into(), |name| name.to_string_lossy().into_owned())
}

/// Lets no message wait for longer than this in one go, so that a test need not wait for 48 days.
pub fn with_longest_delay(mut builder: RabbitMqBuilder, time: Duration) -> RabbitMqBuilder {
    builder.longest_delay = time;
    builder
}
