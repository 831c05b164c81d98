//! What an outbox is told of a message that failed, and what it tells of those it holds.

use std::time::Duration;

use crate::id::MessageId;
use crate::message::RoutingKey;

/// A message that could not be published.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Failure {
    /// Which.
    pub id: MessageId,
    /// Why, for the person who looks at the outbox.
    pub error: String,
    /// How long to leave it alone.
    pub retry_delay: Duration,
    /// Whether it is not tried again until it is revived: the message is dead.
    pub is_last: bool,
}

impl Failure {
    /// The message could not be published for this reason, and is left alone this long.
    pub fn new(id: MessageId, error: impl Into<String>, retry_delay: Duration) -> Self {
        Self {
            id,
            error: error.into(),
            retry_delay,
            is_last: false,
        }
    }

    /// Returns this failure as the last one: the message is not tried again until it is revived.
    #[must_use]
    pub fn last(self) -> Self {
        Self {
            is_last: true,
            ..self
        }
    }
}

/// A message that is not tried again, for publishing it has failed too often, or its row cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadMessage {
    /// Which.
    pub id: MessageId,
    /// Where it was to go.
    pub topic: RoutingKey,
    /// How often publishing it has failed.
    pub attempts: u32,
    /// Why, the last time; its first 2,000 characters.
    pub last_error: String,
}

impl DeadMessage {
    /// The message with this id for this topic, whose publishing has failed this often, and the last time for
    /// this reason.
    pub fn new(id: MessageId, topic: RoutingKey, attempts: u32, last_error: impl Into<String>) -> Self {
        Self {
            id,
            topic,
            attempts,
            last_error: last_error.into(),
        }
    }
}

/// A message that waits for its time.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScheduledMessage {
    /// Which.
    pub id: MessageId,
    /// Where it is to go.
    pub topic: RoutingKey,
    /// For how long it still waits, by the clock of the outbox.
    pub due_in: Duration,
}

impl ScheduledMessage {
    /// Returns the message with this id for this topic, which is due in so long.
    pub fn new(id: MessageId, topic: RoutingKey, due_in: Duration) -> Self {
        Self { id, topic, due_in }
    }
}

/// How far a message in an outbox has come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageState {
    /// It waits for the broker.
    #[non_exhaustive]
    Outstanding {
        /// How often publishing it has failed.
        attempts: u32,
        /// Why, the last time; its first 2,000 characters.
        last_error: Option<String>,
    },
    /// It waits for its time.
    #[non_exhaustive]
    Scheduled {
        /// For how long, by the clock of the outbox.
        due_in: Duration,
    },
    /// The broker has it.
    Dispatched,
    /// Publishing it has failed too often, or it cannot be read: it is not tried again until it is revived.
    #[non_exhaustive]
    Dead {
        /// How often publishing it has failed.
        attempts: u32,
        /// Why, the last time; its first 2,000 characters.
        last_error: Option<String>,
    },
}

impl MessageState {
    /// It waits, publishing it has failed this often, and the last time for this reason.
    #[must_use]
    pub fn outstanding(attempts: u32, last_error: Option<String>) -> Self {
        Self::Outstanding { attempts, last_error }
    }

    /// It waits for its time, which comes in so long.
    #[must_use]
    pub fn scheduled(due_in: Duration) -> Self {
        Self::Scheduled { due_in }
    }

    /// It is dead, publishing it has failed this often, and the last time for this reason.
    #[must_use]
    pub fn dead(attempts: u32, last_error: Option<String>) -> Self {
        Self::Dead { attempts, last_error }
    }
}

/// How full an outbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OutboxStatus {
    /// How many messages are outstanding: deposited and not yet published.
    pub outstanding: u64,
    /// How long ago the oldest of them was deposited.
    pub oldest: Option<Duration>,
    /// How many messages are dead.
    pub dead: u64,
    /// How many messages wait for their time. They are not outstanding before.
    pub scheduled: u64,
    /// How long ago the time of the first of them came, if it has come: a sweeper makes them outstanding then. `None`
    /// also where the outbox cannot tell.
    pub overdue: Option<Duration>,
}

impl OutboxStatus {
    /// This many outstanding, the oldest this old.
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

    /// Returns this status with this many dead.
    #[must_use]
    pub fn with_dead(self, dead: u64) -> Self {
        Self { dead, ..self }
    }

    /// Returns this status with this many that wait for their time.
    #[must_use]
    pub fn with_scheduled(self, scheduled: u64) -> Self {
        Self { scheduled, ..self }
    }

    /// Returns this status with the time since the first of those that wait for their time was due.
    #[must_use]
    pub fn with_overdue(self, overdue: Option<Duration>) -> Self {
        Self { overdue, ..self }
    }
}
