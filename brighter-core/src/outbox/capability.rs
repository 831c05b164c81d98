//! The optional capabilities of an outbox: one trait for each, reached by a method of [`Outbox`](super::Outbox).
//!
//! Every method that a later version adds to one of these traits has a default.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};

use super::{
    Archive, DeadMessage, MessageState, OutboxError, ScheduledMessage, Selection, UniqueDeposit, UniqueKey,
};
use crate::id::MessageId;
use crate::message::Message;

/// Stores messages that are sent later: see [`Outbox::scheduling`](super::Outbox::scheduling).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot store messages that are sent later",
    label = "does not implement `Scheduling`",
    note = "implement `brighter::outbox::Scheduling` for `{Self}` (`schedule`, `reschedule`, `cancel`, `scheduled` and `make_due`), and return it from the method of `Outbox` that reaches it"
)]
pub trait Scheduling: Send + Sync {
    /// Stores a message that becomes outstanding after the given time by the clock of the outbox, in a transaction of
    /// the outbox's own. Returns whether the message is new. A message that the outbox already holds, in any state, is
    /// left unchanged.
    ///
    /// # Errors
    /// See [`deposit`](super::Outbox::deposit).
    fn schedule<'a>(
        &'a self,
        message: &'a Message,
        delay: Duration,
    ) -> BoxFuture<'a, Result<bool, OutboxError>>;

    /// Changes the delay of a scheduled message, counted from now. Returns whether the message was still scheduled.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn reschedule<'a>(
        &'a self,
        id: &'a MessageId,
        delay: Duration,
    ) -> BoxFuture<'a, Result<bool, OutboxError>>;

    /// Removes a scheduled message, and its id is free again. Returns whether the message was still scheduled.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn cancel<'a>(&'a self, id: &'a MessageId) -> BoxFuture<'a, Result<bool, OutboxError>>;

    /// Returns up to `limit` scheduled messages, the first to become due first.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn scheduled(&self, limit: usize) -> BoxFuture<'_, Result<Vec<ScheduledMessage>, OutboxError>>;

    /// Makes up to `limit` due messages outstanding, the first to become due first, as if they had been deposited then.
    /// Returns how many. Several publishers may call this at once.
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
    /// Reads messages, dispatched or not, in the order of the ids. A message that does not exist is left out.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn get<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<Vec<Message>, OutboxError>>;

    /// Returns the state of one message; `None` if it does not exist.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn state<'a>(&'a self, id: &'a MessageId) -> BoxFuture<'a, Result<Option<MessageState>, OutboxError>>;

    /// Returns up to `limit` ids of the outstanding messages that the handling of this message posted, claimed or not,
    /// in any order. Their header has it as `causation_id`. A processor without a sweeper calls this for a redelivered
    /// message, and sends the messages.
    ///
    /// # Errors
    /// See [`OutboxError`]. It is [`Unsupported`](OutboxError::Unsupported), the default, if the outbox cannot look up
    /// causes.
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
    /// Returns up to `limit` dead messages, oldest first.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn dead(&self, limit: usize) -> BoxFuture<'_, Result<Vec<DeadMessage>, OutboxError>>;

    /// Makes these messages outstanding again, if they are dead: they are due at once, with no failures counted.
    /// Returns how many.
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
    /// Makes the dispatched messages outstanding again that the handling of this message posted: they are due at once,
    /// with no failures counted. Their header has it as `causation_id`. Returns how many. Messages that are outstanding
    /// already do not count and stay unchanged.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn replay<'a>(&'a self, causation: &'a MessageId) -> BoxFuture<'a, Result<u64, OutboxError>>;

    /// Makes the selected messages outstanding again. [`replay`](Self::replay) does the same for those of one cause,
    /// and [`revive`](DeadMessages::revive) for dead ones. Returns how many.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn send_again<'a>(&'a self, which: &'a Selection) -> BoxFuture<'a, Result<u64, OutboxError>>;
}

/// Removes old messages: see [`Outbox::archiving`](super::Outbox::archiving).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot archive messages of an outbox",
    label = "does not implement `Archiving`",
    note = "implement `brighter::outbox::Archiving` for `{Self}` (`archive`), and return it from the method of `Outbox` that reaches it"
)]
pub trait Archiving: Send + Sync {
    /// Removes dispatched messages that are old enough and, if selected, dead ones. Their ids are free again. Returns
    /// how many were removed. If that is the limit, there may be more.
    ///
    /// Several processes may call this at once, without waiting for each other.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn archive<'a>(&'a self, what: &'a Archive) -> BoxFuture<'a, Result<u64, OutboxError>>;
}

/// Stores a message unless another one holds its key: see [`Outbox::unique_posts`](super::Outbox::unique_posts).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot hold keys of unique posts",
    label = "does not implement `UniquePosts`",
    note = "implement `brighter::outbox::UniquePosts` for `{Self}` (`deposit_unique`), and return it from the method of `Outbox` that reaches it"
)]
pub trait UniquePosts: Send + Sync {
    /// Takes the key for its window, by the clock of the outbox, and stores the message, in one transaction of the
    /// outbox's own. With a delay the message is scheduled, otherwise it is claimed for `lease` if there is one. If
    /// another message holds the key, nothing changes. A message that holds the key itself keeps it to the end of the
    /// first window.
    ///
    /// A key that is held in a transaction that has not ended yet is waited for. A key whose window is over is free, and
    /// [`Archiving::archive`] removes it.
    ///
    /// # Errors
    /// See [`deposit`](super::Outbox::deposit).
    fn deposit_unique<'a>(
        &'a self,
        message: &'a Message,
        key: &'a UniqueKey,
        delay: Option<Duration>,
        lease: Option<Duration>,
    ) -> BoxFuture<'a, Result<UniqueDeposit, OutboxError>>;
}
