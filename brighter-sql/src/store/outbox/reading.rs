//! Reads the messages and the status of the outbox.

use std::collections::HashMap;
use std::time::Duration;

use super::SqlOutbox;
use crate::database::backend::{Backend, Fetch};
use crate::database::statement::Statement;
use crate::database::value::{Sql, Value};
use crate::store::row;
use brighter_core::id::MessageId;
use brighter_core::message::Message;
use brighter_core::outbox::{DeadMessage, MessageState, OutboxError, OutboxStatus, ScheduledMessage};

impl<B: Backend> SqlOutbox<B> {
    pub(crate) async fn get(&self, ids: &[MessageId]) -> Result<Vec<Message>, OutboxError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = row::list::<B::Db>(ids)?;
        let rows = self.read(&self.statements.get, Value::Text(&wanted)).await?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in &rows {
            let message =
                row::message::<B::Db>(row, 0).map_err(|source| row::corrupt::<B::Db>(row, 0, source))?;
            found.insert(message.header.id.clone(), message);
        }
        Ok(ids.iter().filter_map(|id| found.get(id).cloned()).collect())
    }

    pub(crate) async fn state(&self, id: &MessageId) -> Result<Option<MessageState>, OutboxError> {
        let id = row::id_text::<B::Db>(id);
        let rows = self.read(&self.statements.state, Value::Text(&id)).await?;
        let state = |row| {
            let (how_far, attempts) = (B::Db::number(row, 0)?, attempts::<B::Db>(row, 1)?);
            let last_error = B::Db::maybe_text(row, 2)?.map(str::to_owned);
            Ok(match how_far {
                0 => MessageState::Dispatched,
                2 => MessageState::dead(attempts, last_error),
                3 => MessageState::scheduled(Duration::from_millis(
                    B::Db::number(row, 3)?.max(0).unsigned_abs(),
                )),
                _ => MessageState::outstanding(attempts, last_error),
            })
        };
        Ok(rows.first().map(state).transpose().map_err(B::Db::sort)?)
    }

    pub(crate) async fn status(&self) -> Result<OutboxStatus, OutboxError> {
        let rows = self.read(&self.statements.status, Value::Number(0)).await?;
        let status = |row| {
            let (outstanding, dead) = (B::Db::number(row, 0)?, B::Db::number(row, 2)?);
            let scheduled = B::Db::number(row, 3)?.unsigned_abs();
            // The age is negative if the clock was put back.
            let oldest =
                B::Db::maybe_number(row, 1)?.map(|age| Duration::from_millis(age.try_into().unwrap_or(0)));
            let overdue = B::Db::maybe_number(row, 4)?.and_then(|age| age.try_into().ok());
            let status = OutboxStatus::new(outstanding.unsigned_abs(), oldest)
                .with_scheduled(scheduled)
                .with_overdue(overdue.map(Duration::from_millis));
            Ok(status.with_dead(dead.unsigned_abs()))
        };
        let status = rows.first().map(status).transpose().map_err(B::Db::sort)?;
        Ok(status.unwrap_or_default())
    }

    pub(crate) async fn dead(&self, limit: usize) -> Result<Vec<DeadMessage>, OutboxError> {
        let rows = self
            .read(&self.statements.dead, Value::Number(row::limit(limit)))
            .await?;
        let dead = |row| {
            let (id, topic) = (B::Db::text(row, 0)?, B::Db::text(row, 1)?);
            let last_error = B::Db::maybe_text(row, 3)?.unwrap_or_default();
            let (id, topic) = (row::restored::<B::Db>(id), row::restored::<B::Db>(topic));
            let attempts = attempts::<B::Db>(row, 2)?;
            Ok(DeadMessage::new(
                (*id).into(),
                (*topic).into(),
                attempts,
                last_error,
            ))
        };
        let dead: Result<_, sqlx::Error> = rows.iter().map(dead).collect();
        Ok(dead.map_err(B::Db::sort)?)
    }

    pub(crate) async fn scheduled(&self, limit: usize) -> Result<Vec<ScheduledMessage>, OutboxError> {
        let rows = self
            .read(&self.statements.scheduled, Value::Number(row::limit(limit)))
            .await?;
        let scheduled = |row| {
            let (id, topic) = (B::Db::text(row, 0)?, B::Db::text(row, 1)?);
            let (id, topic) = (row::restored::<B::Db>(id), row::restored::<B::Db>(topic));
            let due_in = Duration::from_millis(B::Db::number(row, 2)?.max(0).unsigned_abs());
            Ok(ScheduledMessage::new((*id).into(), (*topic).into(), due_in))
        };
        let scheduled: Result<_, sqlx::Error> = rows.iter().map(scheduled).collect();
        Ok(scheduled.map_err(B::Db::sort)?)
    }

    pub(crate) async fn outstanding_of(
        &self,
        causation: &MessageId,
        limit: usize,
    ) -> Result<Vec<MessageId>, OutboxError> {
        let causation = row::id_text::<B::Db>(causation);
        let values = [Value::Text(&causation), Value::Number(row::limit(limit))];
        let rows = self.read_by(&self.statements.outstanding_of, &values).await?;
        let ids = rows.iter().map(|row| {
            let id = B::Db::text(row, 0)?;
            Ok(MessageId::from(&*row::restored::<B::Db>(id)))
        });
        let ids: Result<_, sqlx::Error> = ids.collect();
        Ok(ids.map_err(B::Db::sort)?)
    }

    pub(super) async fn read(
        &self,
        statement: &Statement,
        value: Value<'_>,
    ) -> Result<Vec<<B::Db as sqlx::Database>::Row>, OutboxError> {
        self.read_by(statement, &[value]).await
    }

    async fn read_by(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Vec<<B::Db as sqlx::Database>::Row>, OutboxError> {
        Ok(self.backend.read(Fetch { statement, values }).await?)
    }
}

fn attempts<D: Sql>(row: &D::Row, column: usize) -> Result<u32, sqlx::Error> {
    Ok(u32::try_from(D::number(row, column)?).unwrap_or(u32::MAX))
}
