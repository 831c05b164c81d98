//! Deposits messages in a database, by the outbox itself or in a transaction of the application.

use std::time::Duration;

use super::operations::Deposit;
use super::room::Room;
use super::{DepositStatement, SqlOutbox};
use crate::database::backend::{Backend, Operation};
use crate::database::value::{Sql, Value};
use crate::store::row;
use brighter_core::id::MessageId;
use brighter_core::message::Message;
use brighter_core::outbox::{Arrival, OutboxError};

impl<B: Backend> SqlOutbox<B> {
    pub(crate) async fn deposit(
        &self,
        messages: &[Message],
        lease: Option<Duration>,
    ) -> Result<Vec<MessageId>, OutboxError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        self.make_room(messages).await?;
        let known = self.backend.write(self.depositing(messages, lease)).await?;
        if lease.is_none() {
            self.bell.ring(Arrival::Here);
        }
        Ok(known)
    }

    /// Deposits messages in a transaction of the application.
    pub(crate) async fn deposit_in(
        &self,
        connection: &mut <B::Db as sqlx::Database>::Connection,
        messages: &[Message],
    ) -> Result<(), OutboxError> {
        if messages.is_empty() {
            return Ok(());
        }
        self.backend
            .in_transaction(async {
                self.make_room_in(connection, messages).await?;
                Operation::<B::Db>::run(self.depositing(messages, None), connection).await
            })
            .await?;
        self.bell.ring(Arrival::ToCome);
        Ok(())
    }

    /// Returns the deposit of one message, for clients other than sqlx.
    pub(crate) fn deposit_statement(&self, message: &Message) -> Result<DepositStatement, OutboxError> {
        let (_, insert) = self.statements.insert(1);
        let header = &message.header;
        Ok(DepositStatement {
            sql: insert.text.to_string(),
            message_id: row::id_text::<B::Db>(&header.id),
            topic: row::stored::<B::Db>(header.topic.as_str()).into_owned(),
            message_type: header.message_type.as_str().to_owned(),
            header: row::header_text(header)?,
            body: message.body.as_bytes().to_vec(),
            lease: 0,
            causation_id: header.causation_id.as_ref().map(row::id_text::<B::Db>),
        })
    }

    /// Returns an error if there is no room for these messages.
    pub(super) async fn make_room(&self, messages: &[Message]) -> Result<(), OutboxError> {
        match self.room_to_count(messages) {
            None => Ok(()),
            Some(room) => {
                let limit = Value::Number(room.limit());
                room.check::<B::Db>(&self.read(&self.statements.count, limit).await?, messages)
            }
        }
    }

    /// Returns an error if there is no room for these messages, in a transaction of the application.
    pub(super) async fn make_room_in(
        &self,
        connection: &mut <B::Db as sqlx::Database>::Connection,
        messages: &[Message],
    ) -> Result<(), OutboxError> {
        match self.room_to_count(messages) {
            None => Ok(()),
            Some(room) => {
                let limit = [Value::Number(room.limit())];
                let rows = B::Db::fetch(connection, &self.statements.count, &limit).await;
                room.check::<B::Db>(&rows.map_err(B::Db::sort)?, messages)
            }
        }
    }

    /// Returns the room, if the outstanding messages must be counted before these are stored.
    fn room_to_count(&self, messages: &[Message]) -> Option<&Room> {
        let room = self.room.as_ref()?;
        (!room.take(messages.len() as u64)).then_some(room)
    }

    pub(super) fn depositing<'a>(&'a self, messages: &'a [Message], lease: Option<Duration>) -> Deposit<'a> {
        Deposit {
            statements: &self.statements,
            messages,
            lease: lease.map_or(0, row::millis),
            is_id_enough: false,
        }
    }
}
