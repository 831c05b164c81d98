//! [`Channel`]: the definition of a queue and of its consumer.

use std::num::NonZeroU16;
use std::time::Duration;

use serde::Serialize;

use crate::message::{ChannelName, NameError, RoutingKey};

/// Defines a channel: all that a broker needs to declare and consume it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Channel {
    /// The name of the channel.
    pub name: ChannelName,
    /// The topics, or patterns of topics, that the channel is bound to.
    pub routing_keys: Vec<RoutingKey>,
    /// The channel for messages that could not be handled.
    pub dead_letters: ChannelName,
    /// The channel for messages that could not be understood.
    pub invalid_messages: ChannelName,
    /// The number of messages that a consumer may have unsettled at once.
    pub buffer: NonZeroU16,
    /// Whether the channel is declared, checked, or assumed to exist.
    pub declare: DeclareMode,
    /// The way in which the broker stores the queue; `None` for the broker's default.
    pub queue_type: Option<QueueType>,
    /// The number of messages that the channel may hold, and for how long.
    pub limits: ChannelLimits,
    /// The number of redeliveries from which on a message is suspected to crash the processes that take it. A transport
    /// that supports this returns such a message without counting another delivery, so that only crashes raise the
    /// count. The dispatcher handles the message alone, and rejects it at its limit. `None`, the default, counts every
    /// delivery that comes back.
    pub suspect_after: Option<u32>,
    /// The time that an unused channel of one process is kept, with its messages. Some brokers keep it for a shorter
    /// time. Such a channel has no dead-letter and no invalid-message channel. `None` keeps the channel forever.
    pub idle_timeout: Option<Duration>,
}

/// How a consumer makes sure that its channel exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeclareMode {
    /// The consumer declares what is missing.
    #[default]
    Create,
    /// The consumer checks that the channel exists, and declares nothing.
    Validate,
    /// The consumer assumes that the channel exists, and does not check. So a dead-letter channel is consumed, which is
    /// another kind of queue than one with dead letters of its own.
    Assume,
}

/// How a broker stores a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QueueType {
    /// Stored on one node.
    Classic,
    /// Stored on a majority of the nodes of a cluster, so that the queue survives the loss of one node.
    Quorum,
}

/// The number of messages that a channel may hold, and for how long. A limit that is not set does not apply.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ChannelLimits {
    /// The time that a message may wait before it goes to the dead-letter channel.
    pub time_to_live: Option<Duration>,
    /// The number of messages that may wait.
    pub length: Option<u32>,
    /// The treatment of a message that is published to a full channel.
    pub overflow: Overflow,
    /// The number of deliveries after which the broker itself dead-letters a message. RabbitMQ counts from the second
    /// delivery, and so delivers it once more.
    pub deliveries: Option<u32>,
    /// Whether only one consumer at a time receives messages, and the others stand by.
    pub single_active_consumer: bool,
    /// The highest priority that a message may have; without it all messages have the same priority.
    pub priorities: Option<u8>,
}

/// The treatment of a message that is published to a full channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// The message is refused, and the producer gets an error. Other channels with the same binding keep their copies,
    /// and get another each time the message is published again. Use this for a channel whose producer waits for its
    /// consumer.
    #[default]
    RefuseNewest,
    /// The oldest message goes to the dead-letter channel to make room.
    DeadLetterOldest,
}

impl Channel {
    /// Returns a channel bound to one topic, with `.dlq` and `.invalid` beside it and a buffer of 10.
    #[must_use]
    pub fn new(name: impl Into<ChannelName>, routing_key: impl Into<RoutingKey>) -> Self {
        let name = name.into();
        Self {
            dead_letters: format!("{name}.dlq").into(),
            invalid_messages: format!("{name}.invalid").into(),
            routing_keys: vec![routing_key.into()],
            buffer: DEFAULT_BUFFER,
            declare: DeclareMode::default(),
            queue_type: None,
            limits: ChannelLimits::default(),
            suspect_after: None,
            idle_timeout: None,
            name,
        }
    }

    /// Opens a channel that already exists as it is: to look at dead letters, or to drain a queue. Nothing is declared,
    /// bound or compared, whatever kind of queue it is. Consuming a channel that does not exist is
    /// [`ChannelError::Refused`](super::ChannelError::Refused).
    ///
    /// A message from it is acked, given back or [moved](super::Delivery::move_to). The channel has no dead letters of
    /// its own: a rejection fails, and the message stays.
    ///
    /// ```
    /// use brighter::InMemoryBroker;
    /// use brighter::channel::{Broker, Channel};
    ///
    /// # brighter::testing::run(async {
    /// # let broker = InMemoryBroker::new();
    /// let reminders = Channel::new("reminders", "Task.Reminder");
    /// broker.declare(&reminders).await?;
    /// let mut dead_letters = broker.consume(&Channel::existing(reminders.dead_letters)).await?;
    /// # Ok::<(), brighter::BoxError>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn existing(name: impl Into<ChannelName>) -> Self {
        Self {
            routing_keys: Vec::new(),
            declare: DeclareMode::Assume,
            ..Self::new(name, "")
        }
    }

    /// Returns a channel of one process alone, bound to the topic of its own name. The broker removes it when it has
    /// had no consumer for `idle_timeout`.
    #[must_use]
    pub fn temporary(name: impl Into<ChannelName>, idle_timeout: Duration) -> Self {
        let name = name.into();
        Self {
            // No other process reads this channel, so a broker need not keep a majority of nodes busy for it.
            queue_type: Some(QueueType::Classic),
            idle_timeout: Some(idle_timeout),
            ..Self::new(name.clone(), name.as_str())
        }
    }

    /// Returns whether a message that was redelivered this often is suspected to crash the processes that take it: see
    /// [`suspect_after`](Self::suspect_after).
    #[must_use]
    pub fn suspects(&self, redeliveries: u32) -> bool {
        self.suspect_after.is_some_and(|after| redeliveries >= after)
    }

    /// Checks that every name in the channel is valid.
    ///
    /// # Errors
    /// Returns the first invalid name.
    pub fn validate(&self) -> Result<(), NameError> {
        self.name.validate()?;
        // A name that is as long as a name may be has none beside it.
        if self.declare != DeclareMode::Assume || !self.routing_keys.is_empty() {
            self.dead_letters.validate()?;
            self.invalid_messages.validate()?;
        }
        self.routing_keys.iter().try_for_each(RoutingKey::validate)
    }
}

/// Large enough to keep a performer busy over a network, and small enough that a slow performer leaves messages for the
/// others.
const DEFAULT_BUFFER: NonZeroU16 = match NonZeroU16::new(10) {
    Some(buffer) => buffer,
    None => NonZeroU16::MIN,
};
impl DeclareMode {
    /// The values of the configuration key.
    #[doc(hidden)]
    pub const WORDS: &[&str] = &["create", "validate", "assume"];

    /// Returns the value for a word of the configuration, which has checked it against `WORDS`.
    #[doc(hidden)]
    #[must_use]
    pub fn configured(word: &str) -> Self {
        match word {
            "validate" => Self::Validate,
            "assume" => Self::Assume,
            _ => Self::Create,
        }
    }
}

impl QueueType {
    /// The values of the configuration key.
    #[doc(hidden)]
    pub const WORDS: &[&str] = &["classic", "quorum"];

    /// Returns the value for a word of the configuration, which has checked it against `WORDS`.
    #[doc(hidden)]
    #[must_use]
    pub fn configured(word: &str) -> Self {
        match word {
            "quorum" => Self::Quorum,
            _ => Self::Classic,
        }
    }
}
