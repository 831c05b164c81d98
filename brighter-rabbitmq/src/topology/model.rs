//! What a channel needs of RabbitMQ, as data.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::{delay, name};
use brighter_core::channel::{MakeChannel, QueueType};

/// What a channel needs of the broker. Made by [`RabbitMqBuilder::topology`](crate::RabbitMqBuilder::topology)
/// and [`RabbitMq::topology`](crate::RabbitMq::topology); printed, it tells a person what will be declared.
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
    /// Who sees to it that all of this exists.
    pub make: MakeChannel,
    /// Where messages are published.
    pub exchange: Exchange,
    /// The queues, in the order in which they are declared: those that others name come first.
    pub queues: Vec<Queue>,
    /// What the exchange puts into which queue.
    pub bindings: Vec<Binding>,
    /// What every delay queue is like: see [`delay_queue`](Self::delay_queue).
    pub(super) delays: Queue,
}

/// An exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Exchange {
    /// Its name.
    pub name: String,
    /// How it compares topics with routing keys.
    pub kind: ExchangeKind,
    /// Whether it outlives a restart of the broker: always.
    pub durable: bool,
}

/// How the exchange compares the topic of a message with the routing keys of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExchangeKind {
    /// Routing keys may be patterns: `Task.*`, `Task.#`.
    #[default]
    Topic,
    /// Routing keys are taken literally.
    Direct,
    /// Routing keys mean nothing: every channel gets every message.
    Fanout,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub purpose: Purpose,
    /// Whether it outlives a restart of the broker: always. RabbitMQ 4.3 refuses others.
    pub durable: bool,
    /// Whether it is for one connection only: never.
    pub exclusive: bool,
    /// Whether it goes with its last consumer: never.
    pub auto_delete: bool,
    /// What else is declared of it.
    pub arguments: BTreeMap<Cow<'static, str>, Argument>,
}

/// What a queue is for.
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
    /// Messages that come again later. Nobody reads it.
    Delay,
}

/// The value of an argument of a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Argument {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
}

/// A rule of the exchange: messages whose topic matches the routing key go to the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Binding {
    /// The queue.
    pub queue: String,
    /// The topic, or the pattern of topics.
    pub routing_key: String,
}

impl Topology {
    /// The queue in which messages wait that come again after this time, for those who make queues by hand;
    /// `None` for no time at all. Times are rounded up to two digits of milliseconds. A message that is to wait for more
    /// than 48 days waits in the queue for those 48 days as often as it takes, then in that for the rest.
    #[must_use]
    pub fn delay_queue(&self, delay: Duration) -> Option<Queue> {
        let milliseconds = delay::milliseconds(delay);
        (milliseconds > 0).then(|| self.delay_of(milliseconds))
    }

    /// The queue for a delay that is rounded already.
    pub(crate) fn delay_of(&self, milliseconds: u32) -> Queue {
        let mut queue = self.delays.clone();
        queue.name = delay::name_of(&self.messages().name, milliseconds);
        let time = Argument::Number(milliseconds.into());
        queue.arguments.insert(name::TIME_TO_LIVE.into(), time);
        queue
    }

    /// The queue of the channel itself.
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
    /// How the broker keeps it; `None` for the default of its virtual host.
    #[must_use]
    pub fn queue_type(&self) -> Option<QueueType> {
        match self.arguments.get(name::QUEUE_TYPE) {
            Some(Argument::Text(text)) if text == name::QUORUM => Some(QueueType::Quorum),
            Some(Argument::Text(text)) if text == name::CLASSIC => Some(QueueType::Classic),
            _ => None,
        }
    }
}
