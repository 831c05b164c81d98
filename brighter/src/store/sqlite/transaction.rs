//! Deposits in the transaction of the application.

use futures_util::future::BoxFuture;
use sqlx::{Sqlite, Transaction};

use super::{SqliteOutbox, row};
use crate::message::Message;
use crate::outbox::{OutboxError, OutboxTransaction};

/// The application's own transaction, of the database that holds the outbox.
///
/// After an error, roll back: when the disk is full SQLite has done so already, and what is executed then
/// is in no transaction.
impl OutboxTransaction for Transaction<'_, Sqlite> {
    type Outbox = SqliteOutbox;

    fn deposit<'a>(
        &'a mut self,
        _outbox: &'a SqliteOutbox,
        messages: &'a [Message],
    ) -> BoxFuture<'a, Result<(), OutboxError>> {
        Box::pin(async move { row::insert(self, messages, None).await.map(drop) })
    }
}
