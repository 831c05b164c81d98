//! What an outbox may be able to do beyond posting and sweeping: one trait a capability, each reached by a method of
//! [`Outbox`](super::Outbox).
//!
//! Everything a later version adds to one of these has a default.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};

use super::{Archive, DeadMessage, MessageState, OutboxError, ScheduledMessage, Selection};
use crate::id::MessageId;
use crate::message::Message;

/// Stores messages that are sent later: see [`Outbox::scheduling`](super::Outbox::scheduling).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot store messages that are sent later",
    label = "does not implement `Scheduling`",
    note = "implement `brighter::outbox::Scheduling` for `{Self}` (`schedule`, `reschedule`, `cancel`, `scheduled` and `make_due`), and return it from the method of `Outbox` that reaches it"
)]
pub trait Scheduling: Send + Sync {
    /// Stores a message that is not outstanding until this much time has passed by the clock of the outbox, in a
    /// transaction of the outbox's own. Says whether it is new: one that the outbox holds already, in whatever state,
    /// is left as it is.
    ///
    /// # Errors
    /// As [`deposit`](super::Outbox::deposit).
    fn schedule<'a>(
        &'a self,
        message: &'a Message,
        delay: Duration,
    ) -> BoxFuture<'a, Result<bool, OutboxError>>;

    /// Changes the delay of a scheduled message, counted from now. Says whether the message still waited.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn reschedule<'a>(
        &'a self,
        id: &'a MessageId,
        delay: Duration,
    ) -> BoxFuture<'a, Result<bool, OutboxError>>;

    /// Takes a scheduled message out, and its id is free again. Says whether the message still waited.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn cancel<'a>(&'a self, id: &'a MessageId) -> BoxFuture<'a, Result<bool, OutboxError>>;

    /// Returns the messages that wait for their time: the first to be due first, at most `limit`.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn scheduled(&self, limit: usize) -> BoxFuture<'_, Result<Vec<ScheduledMessage>, OutboxError>>;

    /// Makes those messages outstanding whose time has come, the first to be due first, at most `limit`, as if they had
    /// been deposited then. Returns how many; several publishers may do so at once.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn make_due(&self, limit: usize) -> BoxFuture<'_, Result<u64, OutboxError>>;
}

/// Reads single messages: see [`Outbox::inspection`](super::Outbox::inspection).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot read single messages of an outbox",
    label = "does not implement `Inspection`",
    note = "implement `brighter::outbox::Inspection` for `{Self}` (`get` and `state`), and return it from the method of `Outbox` that reaches it"
)]
pub trait Inspection: Send + Sync {
    /// Reads messages whether they were dispatched or not, in the order of the ids. One that is not there is left out.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn get<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<Vec<Message>, OutboxError>>;

    /// Returns how far one message has come; `None`, if it is not there.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn state<'a>(&'a self, id: &'a MessageId) -> BoxFuture<'a, Result<Option<MessageState>, OutboxError>>;

    /// Returns the ids of the outstanding messages that were posted by the handling of this one (their header has it
    /// as its `causation_id`), whether somebody has claimed them or not: in any order, at most `limit`. A processor
    /// without a sweeper asks for them when the message comes a second time, and sends them.
    ///
    /// # Errors
    /// See [`OutboxError`]; [`Unsupported`](OutboxError::Unsupported), the default, if the outbox cannot.
    fn outstanding_of<'a>(
        &'a self,
        causation: &'a MessageId,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<MessageId>, OutboxError>> {
        let _ = (causation, limit);
        let unsupported = OutboxError::Unsupported("finding messages by their cause");
        future::ready(Err(unsupported)).boxed()
    }
}

/// Lists and revives dead messages: see [`Outbox::dead_messages`](super::Outbox::dead_messages).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot list or revive dead messages",
    label = "does not implement `DeadMessages`",
    note = "implement `brighter::outbox::DeadMessages` for `{Self}` (`dead` and `revive`), and return it from the method of `Outbox` that reaches it"
)]
pub trait DeadMessages: Send + Sync {
    /// Returns the dead messages, oldest first, at most `limit`.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn dead(&self, limit: usize) -> BoxFuture<'_, Result<Vec<DeadMessage>, OutboxError>>;

    /// Makes these messages outstanding again, if they are dead: they are due at once, and have not failed. Returns how
    /// many.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn revive<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<u64, OutboxError>>;
}

/// Makes dispatched messages outstanding again: see [`Outbox::resending`](super::Outbox::resending).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot send dispatched messages again",
    label = "does not implement `Resending`",
    note = "implement `brighter::outbox::Resending` for `{Self}` (`replay` and `send_again`), and return it from the method of `Outbox` that reaches it"
)]
pub trait Resending: Send + Sync {
    /// Makes the messages outstanding again that were posted by the handling of this one (their header has it as its
    /// `causation_id`) and dispatched: they are due at once, and have not failed. Returns how many; those that are
    /// outstanding already do not count and stay as they are.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn replay<'a>(&'a self, causation: &'a MessageId) -> BoxFuture<'a, Result<u64, OutboxError>>;

    /// Makes the selected messages outstanding again, as [`replay`](Self::replay) does those of one cause and
    /// [`revive`](DeadMessages::revive) does the dead. Returns how many.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn send_again<'a>(&'a self, which: &'a Selection) -> BoxFuture<'a, Result<u64, OutboxError>>;
}

/// Takes old messages out: see [`Outbox::archiving`](super::Outbox::archiving).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot archive messages of an outbox",
    label = "does not implement `Archiving`",
    note = "implement `brighter::outbox::Archiving` for `{Self}` (`archive`), and return it from the method of `Outbox` that reaches it"
)]
pub trait Archiving: Send + Sync {
    /// Takes messages out that are old enough: those that were dispatched, and, if that is asked, the dead. Their ids
    /// are free again. Returns how many they were; as many as the limit means that there may be more.
    ///
    /// Several processes may do so at once, and none waits for another.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn archive<'a>(&'a self, what: &'a Archive) -> BoxFuture<'a, Result<u64, OutboxError>>;
}
