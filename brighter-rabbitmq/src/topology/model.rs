//! [`Topology`]: what a channel needs in RabbitMQ, as data.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::{delay, name};
use brighter_core::channel::{DeclareMode, QueueType};

/// The exchange, queues and bindings that a channel needs.
/// [`RabbitMqBuilder::topology`](crate::RabbitMqBuilder::topology) and
/// [`RabbitMq::topology`](crate::RabbitMq::topology) return it. Print it to see what will be declared.
///
/// ```
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use brighter::channel::{Channel, QueueType};
/// use brighter::RabbitMq;
///
/// let builder = RabbitMq::builder("amqp://localhost").queue_type(QueueType::Quorum);
/// let topology = builder.topology(&Channel::new("billing", "Order.*"))?;
/// println!("{topology}");
/// assert_eq!(topology.queues[0].name, "billing.dlq");
/// # Ok(()) }
/// # example().unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Topology {
    /// Whether all of this is declared, checked, or assumed to exist.
    pub declare: DeclareMode,
    /// The exchange to which messages are published.
    pub exchange: Exchange,
    /// The queues in the order of their declaration: those that others refer to come first.
    pub queues: Vec<Queue>,
    /// The bindings of the exchange to the queues.
    pub bindings: Vec<Binding>,
    /// The template of every delay queue: see [`delay_queue`](Self::delay_queue).
    pub(super) delays: Queue,
}

/// An exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Exchange {
    /// The name of the exchange.
    pub name: String,
    /// The way in which it compares topics with routing keys.
    pub kind: ExchangeKind,
    /// Whether the exchange survives a restart of the broker: always.
    pub durable: bool,
}

/// How the exchange compares the topic of a message with the routing keys of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExchangeKind {
    /// Matches routing keys that may be patterns: `Task.*`, `Task.#`.
    #[default]
    Topic,
    /// Matches routing keys literally.
    Direct,
    /// Ignores routing keys: every channel gets every message.
    Fanout,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Queue {
    /// The name of the queue.
    pub name: String,
    /// The purpose of the queue.
    pub purpose: Purpose,
    /// Whether the queue survives a restart of the broker: always. RabbitMQ 4.3 refuses others.
    pub durable: bool,
    /// Whether the queue is limited to one connection: never.
    pub exclusive: bool,
    /// Whether the queue is deleted with its last consumer: never.
    pub auto_delete: bool,
    /// The other arguments of the declaration.
    pub arguments: BTreeMap<Cow<'static, str>, Argument>,
}

/// The purpose of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Purpose {
    /// Messages that could not be handled.
    DeadLetters,
    /// Messages that could not be understood.
    InvalidMessages,
    /// The messages of the channel.
    Messages,
    /// Messages that are delivered again later. It has no consumer.
    Delay,
}

/// The value of an argument of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Argument {
    /// A text.
    Text(String),
    /// An integer.
    Number(i64),
    /// A boolean.
    Flag(bool),
}

/// A binding of the exchange: messages whose topic matches the routing key go to the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Binding {
    /// The name of the queue.
    pub queue: String,
    /// The topic, or the pattern of topics.
    pub routing_key: String,
}

impl Topology {
    /// Returns the queue in which messages wait for this delay, for declaring queues by hand; `None` for a delay of
    /// zero. Delays are rounded up to two digits of milliseconds. A message with a delay of more than 48 days waits
    /// repeatedly in the queue for 48 days, and then in the queue for the rest.
    #[must_use]
    pub fn delay_queue(&self, delay: Duration) -> Option<Queue> {
        let milliseconds = delay::milliseconds(delay);
        (milliseconds > 0).then(|| self.delay_of(milliseconds))
    }

    /// Returns the queue for a delay that is already rounded.
    pub(crate) fn delay_of(&self, milliseconds: u32) -> Queue {
        let mut queue = self.delays.clone();
        queue.name = delay::name_of(&self.messages().name, milliseconds);
        let time = Argument::Number(milliseconds.into());
        queue.arguments.insert(name::TIME_TO_LIVE.into(), time);
        queue
    }

    /// Returns the queue of the channel itself.
    pub(crate) fn messages(&self) -> &Queue {
        let found = self
            .queues
            .iter()
            .find(|queue| queue.purpose == Purpose::Messages);
        // There is always one.
        found.unwrap_or(&self.delays)
    }
}

impl Exchange {
    pub(crate) fn new(name: &str, kind: ExchangeKind) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            durable: true,
        }
    }
}

impl Queue {
    /// Returns the type of the queue; `None` for the default of its virtual host.
    #[must_use]
    pub fn queue_type(&self) -> Option<QueueType> {
        match self.arguments.get(name::QUEUE_TYPE) {
            Some(Argument::Text(text)) if text == name::QUORUM => Some(QueueType::Quorum),
            Some(Argument::Text(text)) if text == name::CLASSIC => Some(QueueType::Classic),
            _ => None,
        }
    }
}
