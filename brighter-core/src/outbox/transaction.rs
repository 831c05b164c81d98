//! [`OutboxTransaction`]: deposits messages in a transaction of the application.

use std::time::Duration;

use futures_util::future::{self, BoxFuture};

use super::{Outbox, OutboxError, UniqueDeposit, UniqueKey};
use crate::id::MessageId;
use crate::message::Message;

/// A transaction of the application in which messages can be deposited: they are committed with it, or not at all.
///
/// [`deposit`](Self::deposit) is required. The methods of scheduled messages return [`OutboxError::Unsupported`] unless
/// they are implemented. So does every method that a later version adds.
#[diagnostic::on_unimplemented(
    message = "messages cannot be deposited in a `{Self}`",
    label = "no transaction of an outbox",
    note = "pass the transaction of the database that holds the outbox: `&mut sqlx::Transaction<'_, Sqlite>` for a `SqliteOutbox`, `…<'_, Postgres>` for a `PostgresOutbox`, `…<'_, MySql>` for a `MySqlOutbox`"
)]
pub trait OutboxTransaction<O: Outbox>: Send {
    /// Stores messages in this transaction. A message that the outbox already holds is left unchanged.
    ///
    /// # Errors
    /// See [`OutboxError`]; [`IdInUse`](OutboxError::IdInUse) when one is known with another topic or other content. Then
    /// roll back.
    fn deposit<'a>(
        &'a mut self,
        outbox: &'a O,
        messages: &'a [Message],
    ) -> BoxFuture<'a, Result<(), OutboxError>>;

    /// Stores a message in this transaction that becomes outstanding after the given time, counted from now. A message
    /// that the outbox already holds is left unchanged.
    ///
    /// # Errors
    /// See [`deposit`](Self::deposit). It is [`Unsupported`](OutboxError::Unsupported) unless the transaction
    /// implements scheduling.
    fn schedule<'a>(
        &'a mut self,
        outbox: &'a O,
        message: &'a Message,
        delay: Duration,
    ) -> BoxFuture<'a, Result<(), OutboxError>> {
        let _ = (outbox, message, delay);
        unsupported("messages that are sent later in a transaction")
    }

    /// Takes a key and stores its message in this transaction, scheduled if there is a delay, unless another message holds
    /// the key. After a rollback the key is free. If a transaction that has not ended holds the key, this waits for it.
    ///
    /// # Errors
    /// See [`deposit`](Self::deposit). It is [`Unsupported`](OutboxError::Unsupported) unless the transaction
    /// implements unique posts.
    fn deposit_unique<'a>(
        &'a mut self,
        outbox: &'a O,
        message: &'a Message,
        key: &'a UniqueKey,
        delay: Option<Duration>,
    ) -> BoxFuture<'a, Result<UniqueDeposit, OutboxError>> {
        let _ = (outbox, message, key, delay);
        unsupported("unique posts in a transaction")
    }

    /// Cancels a scheduled message in this transaction: with the commit, the message is removed and its id is free.
    /// Returns whether the message was still scheduled. A message that was scheduled in the same transaction can be
    /// cancelled too.
    ///
    /// # Errors
    /// See [`OutboxError`]. It is [`Unsupported`](OutboxError::Unsupported) unless the transaction implements
    /// scheduling.
    fn cancel<'a>(
        &'a mut self,
        outbox: &'a O,
        id: &'a MessageId,
    ) -> BoxFuture<'a, Result<bool, OutboxError>> {
        let _ = (outbox, id);
        unsupported("cancelling in a transaction")
    }

    /// Changes the delay of a scheduled message in this transaction, counted from now. Returns whether the message was
    /// still scheduled. A message that was scheduled in the same transaction can be rescheduled too.
    ///
    /// # Errors
    /// See [`OutboxError`]. It is [`Unsupported`](OutboxError::Unsupported) unless the transaction implements
    /// scheduling.
    fn reschedule<'a>(
        &'a mut self,
        outbox: &'a O,
        id: &'a MessageId,
        delay: Duration,
    ) -> BoxFuture<'a, Result<bool, OutboxError>> {
        let _ = (outbox, id, delay);
        unsupported("rescheduling in a transaction")
    }
}

fn unsupported<'a, T: Send + 'a>(what: &'static str) -> BoxFuture<'a, Result<T, OutboxError>> {
    Box::pin(future::ready(Err(OutboxError::Unsupported(what))))
}
