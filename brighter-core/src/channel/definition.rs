//! [`Channel`]: what a broker has to know to make a queue and to consume it.

use std::num::NonZeroU16;
use std::time::Duration;

use serde::Serialize;

use crate::message::{ChannelName, NameError, RoutingKey};

/// What a broker has to know to make a channel and to consume it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Channel {
    /// The queue.
    pub name: ChannelName,
    /// The topics it wants, or patterns of topics.
    pub routing_keys: Vec<RoutingKey>,
    /// Where messages go that could not be handled.
    pub dead_letters: ChannelName,
    /// Where messages go that could not be understood.
    pub invalid_messages: ChannelName,
    /// How many messages a consumer may have at once that are not settled.
    pub buffer: NonZeroU16,
    /// Whether it is made, looked for, or taken for granted.
    pub make: MakeChannel,
    /// How the broker keeps it; `None` for the broker's default.
    pub queue_type: Option<QueueType>,
    /// What it may hold, and for how long.
    pub limits: ChannelLimits,
    /// From how many redeliveries on a message may be what ends the processes that take it. A transport that can gives
    /// such a message back without counting that as another delivery, so that the count grows by deaths alone: the
    /// dispatcher handles it alone, and sets it aside at its limit. `None`, the default, counts all that comes back.
    pub suspect_after: Option<u32>,
    /// For a channel of one process alone: how long it stays, with all that is in it, once nobody consumes it; some
    /// brokers do not keep it even for so long. It has no dead-letter and no invalid-message channel. `None`, if it
    /// stays for ever.
    pub idle_timeout: Option<Duration>,
}

/// Who sees to it that a channel exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MakeChannel {
    /// The consumer makes what is missing.
    #[default]
    Create,
    /// The consumer looks whether it is there, and makes nothing.
    Validate,
    /// Somebody else has made it: the consumer does not look. So a dead-letter channel is consumed, which is another kind
    /// of queue than one with dead letters of its own.
    Assume,
}

/// How a broker keeps a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QueueType {
    /// On one node.
    Classic,
    /// On a majority of the nodes of a cluster, so that it outlives the loss of one.
    Quorum,
}

/// What a channel may hold, and for how long. Nothing is limited unless it is said here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ChannelLimits {
    /// How long a message may wait before it goes to the dead-letter channel.
    pub time_to_live: Option<Duration>,
    /// How many messages may wait.
    pub length: Option<u32>,
    /// What becomes of a message that finds the channel full.
    pub overflow: Overflow,
    /// How often the broker itself delivers one message before it puts it in the dead-letter channel. RabbitMQ
    /// counts from the second delivery, and so delivers it once more.
    pub deliveries: Option<u32>,
    /// Whether one consumer at a time gets messages, the others standing by.
    pub single_active_consumer: bool,
    /// The highest priority that a message may have; without it all are alike.
    pub priorities: Option<u8>,
}

/// What becomes of a message that finds its channel full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// The message is refused, and its producer told. Other channels that want it have their copies, and another each
    /// time that it is published again: this is for a channel whose producer is to wait for its consumer.
    #[default]
    RefuseNewest,
    /// The oldest goes to the dead-letter channel to make room.
    DeadLetterOldest,
}

impl Channel {
    /// A channel of this name that wants this topic, with `.dlq` and `.invalid` beside it and a buffer of 10.
    #[must_use]
    pub fn new(name: impl Into<ChannelName>, routing_key: impl Into<RoutingKey>) -> Self {
        let name = name.into();
        Self {
            dead_letters: format!("{name}.dlq").into(),
            invalid_messages: format!("{name}.invalid").into(),
            routing_keys: vec![routing_key.into()],
            buffer: DEFAULT_BUFFER,
            make: MakeChannel::default(),
            queue_type: None,
            limits: ChannelLimits::default(),
            suspect_after: None,
            idle_timeout: None,
            name,
        }
    }

    /// A channel that somebody else has made, as it is: to look at dead letters, or to drain a queue. Nothing is made,
    /// bound or compared, whatever the broker keeps it as. To consume one that is not there is
    /// [`ChannelError::Refused`](super::ChannelError::Refused).
    ///
    /// What it gives out is acked, given back or [moved](super::Delivery::move_to). It has nothing beside it to set
    /// messages aside in: a rejection fails, and the message stays.
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
            make: MakeChannel::Assume,
            ..Self::new(name, "")
        }
    }

    /// A channel of one process alone, that wants the topic of its own name, and goes when nobody has consumed it for
    /// this long.
    #[must_use]
    pub fn temporary(name: impl Into<ChannelName>, idle_timeout: Duration) -> Self {
        let name = name.into();
        Self {
            // Nobody else is to get what comes here, and a broker keeps no majority busy for it.
            queue_type: Some(QueueType::Classic),
            idle_timeout: Some(idle_timeout),
            ..Self::new(name.clone(), name.as_str())
        }
    }

    /// Whether a message that was redelivered this often may be what ends the processes that take it: see
    /// [`suspect_after`](Self::suspect_after).
    #[must_use]
    pub fn suspects(&self, redeliveries: u32) -> bool {
        self.suspect_after.is_some_and(|after| redeliveries >= after)
    }

    /// Whether a broker can take every name in it.
    ///
    /// # Errors
    /// The first name that it cannot.
    pub fn validate(&self) -> Result<(), NameError> {
        self.name.validate()?;
        // A name that is as long as a name may be has none beside it.
        if self.make != MakeChannel::Assume || !self.routing_keys.is_empty() {
            self.dead_letters.validate()?;
            self.invalid_messages.validate()?;
        }
        self.routing_keys.iter().try_for_each(RoutingKey::validate)
    }
}

/// Enough to keep a performer busy over a network, few enough that a slow one leaves work for its fellows.
const DEFAULT_BUFFER: NonZeroU16 = match NonZeroU16::new(10) {
    Some(buffer) => buffer,
    None => NonZeroU16::MIN,
};
impl MakeChannel {
    /// The words of a configuration.
    #[doc(hidden)]
    pub const WORDS: &[&str] = &["create", "validate", "assume"];

    /// By the word of a configuration, which knows no other.
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
    /// The words of a configuration.
    #[doc(hidden)]
    pub const WORDS: &[&str] = &["classic", "quorum"];

    /// By the word of a configuration, which knows no other.
    #[doc(hidden)]
    #[must_use]
    pub fn configured(word: &str) -> Self {
        match word {
            "quorum" => Self::Quorum,
            _ => Self::Classic,
        }
    }
}
