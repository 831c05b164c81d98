//! [`OutboxTransaction`]: what the application does to its outbox in a transaction of its own.

use std::time::Duration;

use futures_util::future::{self, BoxFuture};

use super::{Outbox, OutboxError};
use crate::id::MessageId;
use crate::message::Message;

/// A transaction of the application in which messages can be deposited: committed with it, or not at all.
///
/// [`deposit`](Self::deposit) is required. The methods of scheduled messages return [`OutboxError::Unsupported`] unless
/// they are implemented; so does every method that a later version adds.
#[diagnostic::on_unimplemented(
    message = "messages cannot be deposited in a `{Self}`",
    label = "no transaction of an outbox",
    note = "pass the transaction of the database that holds the outbox: `&mut sqlx::Transaction<'_, Sqlite>` for a `SqliteOutbox`, `…<'_, Postgres>` for a `PostgresOutbox`, `…<'_, MySql>` for a `MySqlOutbox`"
)]
pub trait OutboxTransaction<O: Outbox>: Send {
    /// Stores messages in this transaction. A message that the outbox holds already is left as it is.
    ///
    /// # Errors
    /// See [`OutboxError`]; [`IdInUse`](OutboxError::IdInUse) when one is known with another topic or other content. Then
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
    /// As [`deposit`](Self::deposit); [`Unsupported`](OutboxError::Unsupported) unless the transaction implements it.
    fn schedule<'a>(
        &'a mut self,
        outbox: &'a O,
        message: &'a Message,
        delay: Duration,
    ) -> BoxFuture<'a, Result<(), OutboxError>> {
        let _ = (outbox, message, delay);
        unsupported("messages that are sent later in a transaction")
    }

    /// Takes a scheduled message out in this transaction: when it commits, the message is gone and its id is free. Says
    /// whether the message still waited. A message that was scheduled in the same transaction can be cancelled too.
    ///
    /// # Errors
    /// See [`OutboxError`]; [`Unsupported`](OutboxError::Unsupported) unless the transaction implements it.
    fn cancel<'a>(
        &'a mut self,
        outbox: &'a O,
        id: &'a MessageId,
    ) -> BoxFuture<'a, Result<bool, OutboxError>> {
        let _ = (outbox, id);
        unsupported("cancelling in a transaction")
    }

    /// Changes the delay of a scheduled message in this transaction, counted from now. Says whether the message still
    /// waited. A message that was scheduled in the same transaction can be rescheduled too.
    ///
    /// # Errors
    /// See [`OutboxError`]; [`Unsupported`](OutboxError::Unsupported) unless the transaction implements it.
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
