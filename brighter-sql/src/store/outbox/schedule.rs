//! Stores scheduled messages, and makes them outstanding when they are due.

use std::slice::from_ref;
use std::time::Duration;

use super::SqlOutbox;
use super::operations::{ExecuteOutbox, Schedule};
use crate::database::backend::{Backend, Operation};
use crate::database::statement::Statement;
use crate::database::value::Value;
use crate::store::row;
use brighter_core::id::MessageId;
use brighter_core::message::Message;
use brighter_core::outbox::OutboxError;

impl<B: Backend> SqlOutbox<B> {
    pub(crate) async fn schedule(&self, message: &Message, delay: Duration) -> Result<bool, OutboxError> {
        self.make_room(from_ref(message)).await?;
        self.backend.write(self.scheduling(message, delay)).await
    }

    /// Schedules a message in a transaction of the application.
    pub(crate) async fn schedule_in(
        &self,
        connection: &mut <B::Db as sqlx::Database>::Connection,
        message: &Message,
        delay: Duration,
    ) -> Result<(), OutboxError> {
        self.backend
            .in_transaction(async {
                self.make_room_in(connection, from_ref(message)).await?;
                Operation::<B::Db>::run(self.scheduling(message, delay), connection).await
            })
            .await
            .map(drop)
    }

    fn scheduling<'a>(&'a self, message: &'a Message, delay: Duration) -> Schedule<'a> {
        Schedule {
            deposit: self.depositing(from_ref(message), None),
            delay: row::millis(delay),
        }
    }

    pub(crate) async fn reschedule(&self, id: &MessageId, delay: Duration) -> Result<bool, OutboxError> {
        let (id, delay) = (row::id_text::<B::Db>(id), row::millis(delay));
        let values = [Value::Text(&id), Value::Number(delay)];
        let found = self.execute(&self.statements.reschedule, &values).await?;
        Ok(found > 0)
    }

    /// Reschedules a message in a transaction of the application.
    pub(crate) async fn reschedule_in(
        &self,
        connection: &mut <B::Db as sqlx::Database>::Connection,
        id: &MessageId,
        delay: Duration,
    ) -> Result<bool, OutboxError> {
        let (id, delay) = (row::id_text::<B::Db>(id), row::millis(delay));
        let values = [Value::Text(&id), Value::Number(delay)];
        self.execute_in(connection, &self.statements.reschedule, &values)
            .await
    }

    pub(crate) async fn cancel(&self, id: &MessageId) -> Result<bool, OutboxError> {
        let id = row::id_text::<B::Db>(id);
        let found = self.execute(&self.statements.cancel, &[Value::Text(&id)]).await?;
        Ok(found > 0)
    }

    /// Cancels a scheduled message in a transaction of the application.
    pub(crate) async fn cancel_in(
        &self,
        connection: &mut <B::Db as sqlx::Database>::Connection,
        id: &MessageId,
    ) -> Result<bool, OutboxError> {
        let id = row::id_text::<B::Db>(id);
        self.execute_in(connection, &self.statements.cancel, &[Value::Text(&id)])
            .await
    }

    async fn execute_in(
        &self,
        connection: &mut <B::Db as sqlx::Database>::Connection,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<bool, OutboxError> {
        let execute = ExecuteOutbox { statement, values };
        let found = self
            .backend
            .in_transaction(Operation::<B::Db>::run(execute, connection))
            .await?;
        Ok(found > 0)
    }

    /// Makes due messages outstanding. Reads first, so that nothing is written if there are none.
    pub(crate) async fn make_due(&self, limit: usize) -> Result<u64, OutboxError> {
        let due = self.read(&self.statements.due, Value::Number(row::limit(limit)));
        let due = due.await?;
        if due.is_empty() {
            return Ok(0);
        }
        let ids = row::read_ids::<B::Db>(&due)?;
        self.execute(&self.statements.make_due, &[Value::Text(&ids)])
            .await
    }
}
