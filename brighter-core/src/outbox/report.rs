//! [`Failure`], and the states of the messages in an outbox.

use std::time::Duration;

use crate::id::MessageId;
use crate::message::RoutingKey;

/// A message that could not be published.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Failure {
    /// The id of the message.
    pub id: MessageId,
    /// The reason, for the person who reads the outbox.
    pub error: String,
    /// How long to wait before the next attempt.
    pub retry_delay: Duration,
    /// Whether this is the last attempt: the message is dead until it is revived.
    pub is_last: bool,
}

impl Failure {
    /// Returns a failure for this reason, with a delay before the next attempt.
    pub fn new(id: MessageId, error: impl Into<String>, retry_delay: Duration) -> Self {
        Self {
            id,
            error: error.into(),
            retry_delay,
            is_last: false,
        }
    }

    /// Makes this the last failure: the message is not tried again until it is revived.
    #[must_use]
    pub fn last(self) -> Self {
        Self {
            is_last: true,
            ..self
        }
    }
}

/// A message that is not tried again, because publishing it has failed too often, or its row cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadMessage {
    /// The id of the message.
    pub id: MessageId,
    /// The topic of the message.
    pub topic: RoutingKey,
    /// The number of failed attempts to publish the message.
    pub attempts: u32,
    /// The reason of the last failure; its first 2,000 characters.
    pub last_error: String,
}

impl DeadMessage {
    /// Returns a dead message: its id and topic, the number of failed attempts, and the reason of the last failure.
    pub fn new(id: MessageId, topic: RoutingKey, attempts: u32, last_error: impl Into<String>) -> Self {
        Self {
            id,
            topic,
            attempts,
            last_error: last_error.into(),
        }
    }
}

/// A message that becomes outstanding later.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScheduledMessage {
    /// The id of the message.
    pub id: MessageId,
    /// The topic of the message.
    pub topic: RoutingKey,
    /// The rest of the delay, by the clock of the outbox.
    pub due_in: Duration,
}

impl ScheduledMessage {
    /// Returns a scheduled message with this id and topic, which is due after `due_in`.
    pub fn new(id: MessageId, topic: RoutingKey, due_in: Duration) -> Self {
        Self { id, topic, due_in }
    }
}

/// The state of a message in an outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageState {
    /// The message waits to be published.
    #[non_exhaustive]
    Outstanding {
        /// The number of failed attempts to publish the message.
        attempts: u32,
        /// The reason of the last failure; its first 2,000 characters.
        last_error: Option<String>,
    },
    /// The message becomes outstanding later.
    #[non_exhaustive]
    Scheduled {
        /// The rest of the delay, by the clock of the outbox.
        due_in: Duration,
    },
    /// The broker has the message.
    Dispatched,
    /// Publishing the message has failed too often, or it cannot be read. It is not tried again until it is revived.
    #[non_exhaustive]
    Dead {
        /// The number of failed attempts to publish the message.
        attempts: u32,
        /// The reason of the last failure; its first 2,000 characters.
        last_error: Option<String>,
    },
}

impl MessageState {
    /// Returns the state of an outstanding message, with the number of failed attempts and the reason of the last
    /// failure.
    #[must_use]
    pub fn outstanding(attempts: u32, last_error: Option<String>) -> Self {
        Self::Outstanding { attempts, last_error }
    }

    /// Returns the state of a scheduled message, which is due after `due_in`.
    #[must_use]
    pub fn scheduled(due_in: Duration) -> Self {
        Self::Scheduled { due_in }
    }

    /// Returns the state of a dead message, with the number of failed attempts and the reason of the last failure.
    #[must_use]
    pub fn dead(attempts: u32, last_error: Option<String>) -> Self {
        Self::Dead { attempts, last_error }
    }
}

/// The number of messages of an outbox in each state, and the age of the oldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OutboxStatus {
    /// The number of outstanding messages: deposited and not yet published.
    pub outstanding: u64,
    /// The time since the oldest outstanding message was deposited.
    pub oldest: Option<Duration>,
    /// The number of dead messages.
    pub dead: u64,
    /// The number of scheduled messages. They are not outstanding yet.
    pub scheduled: u64,
    /// The time since the first scheduled message became due, until a sweeper makes it outstanding. `None` if no
    /// message is overdue, or if the outbox cannot tell.
    pub overdue: Option<Duration>,
}

impl OutboxStatus {
    /// Returns a status with this many outstanding messages, and the age of the oldest.
    #[must_use]
    pub fn new(outstanding: u64, oldest: Option<Duration>) -> Self {
        Self {
            outstanding,
            oldest,
            dead: 0,
            scheduled: 0,
            overdue: None,
        }
    }

    /// Sets the number of dead messages.
    #[must_use]
    pub fn with_dead(self, dead: u64) -> Self {
        Self { dead, ..self }
    }

    /// Sets the number of scheduled messages.
    #[must_use]
    pub fn with_scheduled(self, scheduled: u64) -> Self {
        Self { scheduled, ..self }
    }

    /// Sets the time since the first scheduled message became due.
    #[must_use]
    pub fn with_overdue(self, overdue: Option<Duration>) -> Self {
        Self { overdue, ..self }
    }
}
