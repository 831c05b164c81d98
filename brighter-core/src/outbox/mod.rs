//! The [`Outbox`]: where a message is safe from the moment it is posted until the broker has it.

mod archive;
mod arrivals;
mod claim;
mod selection;

use std::any::Any;
use std::time::Duration;

use futures_util::future::{self, BoxFuture};

pub use archive::Archive;
#[doc(hidden)]
pub use arrivals::Bell;
pub use arrivals::{Arrival, Arrivals};
pub use claim::{Claim, Claimed};
pub use selection::Selection;

use crate::error::BoxError;
use crate::id::MessageId;
use crate::message::{Message, RoutingKey};

/// Why an outbox could not do what it was asked. Nothing was changed.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// There is no room for more: the disk is full, or the file may not grow, or as many messages are outstanding
    /// as may be.
    #[error("the outbox is full; nothing was stored")]
    Full(#[source] BoxError),
    /// The store is busy or away. Trying again may work.
    #[error("the outbox cannot be reached now; nothing was stored")]
    Unavailable(#[source] BoxError),
    /// The store may not be written.
    #[error("the outbox may not be written; check the permissions of its file or user")]
    ReadOnly(#[source] BoxError),
    /// The store was made by a newer version of brighter.
    #[error("the outbox has schema version {found} and this program knows {known}: run a newer program")]
    NewerSchema {
        /// The version of the store.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// Another message has that id. A known id with the same topic and body is no error.
    #[error(
        "the outbox holds another message with the id `{id}`, and so not this one: an id is for one message; give each request its own"
    )]
    IdInUse {
        /// The id.
        id: MessageId,
    },
    /// What the store holds cannot be read.
    #[error("message `{id}` in the outbox cannot be read")]
    Corrupt {
        /// The id of the row.
        id: String,
        /// Why not.
        #[source]
        source: BoxError,
    },
    /// The outbox cannot do this at all.
    #[error("the outbox does not support {0}; use an outbox that does")]
    Unsupported(&'static str),
    /// Something else.
    #[error("the outbox failed")]
    Other(#[source] BoxError),
}

crate::__readable_debug!(OutboxError);

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

    /// The same, and it is not tried again until it is revived.
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
        }
    }

    /// The same, with this many dead.
    #[must_use]
    pub fn with_dead(self, dead: u64) -> Self {
        Self { dead, ..self }
    }

    /// The same, with this many that wait for their time.
    #[must_use]
    pub fn with_scheduled(self, scheduled: u64) -> Self {
        Self { scheduled, ..self }
    }
}

/// Where messages wait until the broker has them.
///
/// A message is *outstanding* from its deposit until it is marked as dispatched. Whoever wants to publish it
/// *claims* it first, for a time: the lease. A claim that is neither marked, nor failed, nor released ends
/// with its lease, and the message may be claimed again; so one publisher that dies is replaced, and two that
/// live do not publish the same message.
///
/// All methods are atomic: after an error nothing has changed.
pub trait Outbox: Any + Send + Sync {
    /// Stores messages, in a transaction of the outbox's own, claimed for `lease` if there is one. A message
    /// that it holds already, dispatched or not, is left as it is; gives the ids of those.
    ///
    /// # Errors
    /// See [`OutboxError`]; [`IdInUse`](OutboxError::IdInUse) when one is known with another topic or body.
    fn deposit<'a>(
        &'a self,
        messages: &'a [Message],
        lease: Option<Duration>,
    ) -> BoxFuture<'a, Result<Vec<MessageId>, OutboxError>>;

    /// Stores a message that is not outstanding until this much time has passed by the clock of the outbox, in a
    /// transaction of the outbox's own. Says whether it is new: one that the outbox holds already, in whatever state,
    /// is left as it is.
    ///
    /// # Errors
    /// As [`deposit`](Self::deposit).
    fn schedule<'a>(
        &'a self,
        message: &'a Message,
        delay: Duration,
    ) -> BoxFuture<'a, Result<bool, OutboxError>>;

    /// Has a message that still waits for its time wait this long from now, instead. Says whether it still waited.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn reschedule<'a>(
        &'a self,
        id: &'a MessageId,
        delay: Duration,
    ) -> BoxFuture<'a, Result<bool, OutboxError>>;

    /// Takes a message out that still waits for its time, and its id is free again. Says whether it still waited.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn cancel<'a>(&'a self, id: &'a MessageId) -> BoxFuture<'a, Result<bool, OutboxError>>;

    /// Returns the messages that wait for their time: the first to be due first, at most `limit`.
    ///
    /// # Errors
    /// See [`OutboxError`]; [`Unsupported`](OutboxError::Unsupported), unless this is implemented.
    fn scheduled(&self, limit: usize) -> BoxFuture<'_, Result<Vec<ScheduledMessage>, OutboxError>> {
        let _ = limit;
        unsupported("the listing of scheduled messages")
    }

    /// Makes those outstanding whose time has come, the first to be due first, at most `limit`, as if they had been
    /// deposited then. Says how many; several may do so at once.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn make_due(&self, limit: usize) -> BoxFuture<'_, Result<u64, OutboxError>>;

    /// Claims messages for `lease`, oldest first.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn claim<'a>(
        &'a self,
        which: Claim<'a>,
        lease: Duration,
    ) -> BoxFuture<'a, Result<Vec<Claimed>, OutboxError>>;

    /// The broker has these.
    ///
    /// # Errors
    /// See [`OutboxError`]. The messages stay claimed, and are published again when the lease ends.
    fn mark_dispatched<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<(), OutboxError>>;

    /// The broker did not take these: counts the attempt, notes the error, and ends the claim. One whose
    /// [last](Failure::last) failure it is becomes dead.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn mark_failed<'a>(&'a self, failures: &'a [Failure]) -> BoxFuture<'a, Result<(), OutboxError>>;

    /// Ends the claim of these, which nobody tried to publish.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn release<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<(), OutboxError>>;

    /// Makes the messages outstanding again that were posted by the handling of this one (their header has it
    /// as its `causation_id`) and dispatched: they are due at once, and have not failed. Says how many; those
    /// that are outstanding already do not count and stay as they are.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn replay<'a>(&'a self, causation: &'a MessageId) -> BoxFuture<'a, Result<u64, OutboxError>>;

    /// Reads messages whether they were dispatched or not, in the order of the ids; one that is not there is
    /// left out.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn get<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<Vec<Message>, OutboxError>>;

    /// Says how far one message has come; `None`, if it is not there.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn state<'a>(&'a self, id: &'a MessageId) -> BoxFuture<'a, Result<Option<MessageState>, OutboxError>>;

    /// Says how full it is.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn status(&self) -> BoxFuture<'_, Result<OutboxStatus, OutboxError>>;

    /// The dead messages, oldest first, at most `limit`.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn dead(&self, limit: usize) -> BoxFuture<'_, Result<Vec<DeadMessage>, OutboxError>>;

    /// Makes these outstanding again, if they are dead: they are due at once, and have not failed. Says how many.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn revive<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<u64, OutboxError>>;

    /// Makes the messages outstanding again that are selected, as [`replay`](Self::replay) does those of one cause
    /// and [`revive`](Self::revive) does the dead. Says how many.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn send_again<'a>(&'a self, which: &'a Selection) -> BoxFuture<'a, Result<u64, OutboxError>>;

    /// Takes messages out that are old enough: those that were dispatched, and, if that is asked, the dead. Their
    /// ids are free again. Says how many they were; as many as the limit means that there may be more.
    ///
    /// Several may do so at once, and none waits for another.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn archive<'a>(&'a self, what: &'a Archive) -> BoxFuture<'a, Result<u64, OutboxError>>;

    /// Tells of messages that arrive from now on and that nobody has claimed, as far as it is known in this process.
    /// `None`, the default, if it never is; a sweeper looks now and then in any case.
    fn arrivals(&self) -> Option<Arrivals> {
        None
    }
}

/// A transaction of the application in which messages can be deposited: committed with it, or not at all.
#[diagnostic::on_unimplemented(
    message = "messages cannot be deposited in a `{Self}`",
    label = "no transaction of an outbox",
    note = "pass the transaction of the database that holds the outbox: `&mut sqlx::Transaction<'_, Sqlite>` for a `SqliteOutbox`, `…<'_, Postgres>` for a `PostgresOutbox`, `…<'_, MySql>` for a `MySqlOutbox`"
)]
pub trait OutboxTransaction<O: Outbox>: Send {
    /// Stores messages in this transaction. A message that the outbox holds already is left as it is.
    ///
    /// # Errors
    /// See [`OutboxError`]; [`IdInUse`](OutboxError::IdInUse) when one is known with another topic or body. Then
    /// roll back.
    fn deposit<'a>(
        &'a mut self,
        outbox: &'a O,
        messages: &'a [Message],
    ) -> BoxFuture<'a, Result<(), OutboxError>>;

    /// Stores a message in this transaction that is not outstanding until this much time has passed from now. One that
    /// the outbox holds already is left as it is.
    ///
    /// # Errors
    /// As [`deposit`](Self::deposit).
    fn schedule<'a>(
        &'a mut self,
        outbox: &'a O,
        message: &'a Message,
        delay: Duration,
    ) -> BoxFuture<'a, Result<(), OutboxError>>;

    /// Takes a message out in this transaction that still waits for its time, and its id is free again. Says whether it
    /// still waited.
    ///
    /// # Errors
    /// See [`OutboxError`]; [`Unsupported`](OutboxError::Unsupported), unless this is implemented.
    fn cancel<'a>(
        &'a mut self,
        outbox: &'a O,
        id: &'a MessageId,
    ) -> BoxFuture<'a, Result<bool, OutboxError>> {
        let _ = (outbox, id);
        unsupported("cancelling within a transaction")
    }

    /// Has a message that still waits for its time wait this long from now, instead, as part of this transaction. Says
    /// whether it still waited.
    ///
    /// # Errors
    /// See [`OutboxError`]; [`Unsupported`](OutboxError::Unsupported), unless this is implemented.
    fn reschedule<'a>(
        &'a mut self,
        outbox: &'a O,
        id: &'a MessageId,
        delay: Duration,
    ) -> BoxFuture<'a, Result<bool, OutboxError>> {
        let _ = (outbox, id, delay);
        unsupported("rescheduling within a transaction")
    }
}

fn unsupported<'a, T: Send + 'a>(what: &'static str) -> BoxFuture<'a, Result<T, OutboxError>> {
    Box::pin(future::ready(Err(OutboxError::Unsupported(what))))
}
