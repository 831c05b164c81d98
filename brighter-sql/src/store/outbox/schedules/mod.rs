//! The schedules of recurring work, stored beside the messages.

mod applying;
mod row;
mod statements;
pub(super) mod table;

use std::time::{Duration, SystemTime};

use super::SqlOutbox;
use crate::database::backend::{Backend, Fetch};
use crate::database::statement::Statement;
use crate::database::value::{Sql, Value};
use crate::store::row::limit as limit_of;
use applying::ApplySchedules;
use brighter_core::message::Message;
use brighter_core::outbox::{Arrival, DueSchedules, FoundSchedules, OutboxError, ScheduleChange};

impl<B> SqlOutbox<B> {
    /// Returns the statements that look for due schedules, for tests of their use of an index.
    #[cfg(test)]
    #[cfg(feature = "sqlite")]
    pub(crate) fn looks_at_schedules(&self) -> [&str; 2] {
        let statements = &self.schedules.statements;
        [&statements.look, &statements.due].map(|statement| &*statement.text)
    }
}

impl<B: Backend> SqlOutbox<B> {
    pub(crate) async fn due_schedules(
        &self,
        program: &str,
        limit: usize,
    ) -> Result<DueSchedules, OutboxError> {
        self.schedules.make(&self.backend).await?;
        let statements = &self.schedules.statements;
        let first = self.fetch(&statements.look, &[Value::Text(program)]).await?;
        let Some(first) = first.first() else {
            return Ok(DueSchedules::default());
        };
        let time = |column| B::Db::number(first, column).map_err(B::Db::sort);
        let (due, now) = (time(0)?, time(1)?);
        if due > now {
            let waiting = DueSchedules::new(Vec::new(), row::time(now));
            return Ok(waiting.with_next(Some(row::time(due))));
        }
        let values = [Value::Text(program), Value::Number(limit_of(limit))];
        let rows = self.fetch(&statements.due, &values).await?;
        Ok(DueSchedules::new(row::read_all::<B::Db>(&rows)?, row::time(now)))
    }

    pub(crate) async fn find_schedules(&self, names: &[String]) -> Result<FoundSchedules, OutboxError> {
        self.schedules.make(&self.backend).await?;
        let mut found = Vec::new();
        for name in names {
            let rows = self
                .fetch(&self.schedules.statements.find, &[Value::Text(name)])
                .await?;
            found.extend(row::read_all::<B::Db>(&rows)?);
        }
        Ok(FoundSchedules::new(found, self.now().await?))
    }

    pub(crate) async fn list_schedules(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<FoundSchedules, OutboxError> {
        self.schedules.make(&self.backend).await?;
        let values = [
            Value::Text(after.unwrap_or_default()),
            Value::Number(i64::from(after.is_some())),
            Value::Number(limit_of(limit)),
        ];
        let rows = self.fetch(&self.schedules.statements.list, &values).await?;
        Ok(FoundSchedules::new(
            row::read_all::<B::Db>(&rows)?,
            self.now().await?,
        ))
    }

    pub(crate) async fn apply_schedules(&self, changes: &[ScheduleChange]) -> Result<Vec<bool>, OutboxError> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        self.schedules.make(&self.backend).await?;
        let messages = changes.iter().flat_map(ScheduleChange::messages);
        let messages: Vec<Message> = messages.cloned().collect();
        if !messages.is_empty() {
            self.make_room(&messages).await?;
        }
        let apply = ApplySchedules {
            statements: &self.schedules.statements,
            deposit: self.depositing(&[], Some(Duration::ZERO)),
            changes,
        };
        let made = self.backend.write(apply).await?;
        if !messages.is_empty() {
            self.bell.ring(Arrival::Here);
        }
        Ok(made)
    }

    async fn now(&self) -> Result<SystemTime, OutboxError> {
        let rows = self.fetch(&self.schedules.statements.now, &[]).await?;
        let now = rows.first().map_or(Ok(0), |row| B::Db::number(row, 0));
        Ok(row::time(now.map_err(B::Db::sort)?))
    }

    async fn fetch(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
    ) -> Result<Vec<<B::Db as sqlx::Database>::Row>, OutboxError> {
        Ok(self.backend.read(Fetch { statement, values }).await?)
    }
}
