//! The schedules of recurring work, in a table beside that of the messages.

mod applying;
mod row;
mod statements;

use std::time::{Duration, SystemTime};

use tokio::sync::OnceCell;

use super::{OutboxOptions, SqlOutbox, options};
use crate::database::backend::{Backend, Fetch, in_time};
use crate::database::dialect::Dialect;
use crate::database::schema::Schema;
use crate::database::statement::Statement;
use crate::database::table_ref::TableRef;
use crate::database::value::{Sql, Value};
use crate::store::row::limit as limit_of;
use applying::ApplySchedules;
use brighter_core::message::Message;
use brighter_core::outbox::{Arrival, DueSchedules, FoundSchedules, OutboxError, ScheduleChange};
use statements::ScheduleStatements;

/// The table of schedules, which exists once somebody needs it.
#[derive(Debug)]
pub(super) struct SqlSchedules {
    statements: ScheduleStatements,
    schema: Schema,
    /// Whether the table is known to exist.
    made: OnceCell<()>,
}

/// The columns that the table has had since version 1.
const COLUMNS: &[&str] = &["name", "program", "expression", "zone", "due_at", "version"];

pub(super) fn schema(dialect: &Dialect, options: &OutboxOptions, table: &TableRef) -> Schema {
    let names = [options::TABLE, &options.table];
    Schema::new(
        "schedules",
        names,
        beside(table),
        COLUMNS,
        dialect.schema.schedules,
    )
}

/// Returns the table of schedules beside that of an outbox.
fn beside(table: &TableRef) -> TableRef {
    table.sibling(&format!("{}_schedules", table.name()))
}

impl SqlSchedules {
    pub(super) fn new(dialect: &Dialect, options: &OutboxOptions, table: &TableRef) -> Self {
        Self {
            statements: ScheduleStatements::new(dialect, &beside(table)),
            schema: schema(dialect, options, table),
            made: OnceCell::new(),
        }
    }
}

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
    /// Creates the table of schedules, unless this process has done so.
    pub(super) async fn make_schedules(&self) -> Result<(), OutboxError> {
        let make = || in_time(self.schedules.schema.apply(&self.backend));
        self.schedules.made.get_or_try_init(make).await?;
        Ok(())
    }

    pub(crate) async fn due_schedules(
        &self,
        program: &str,
        limit: usize,
    ) -> Result<DueSchedules, OutboxError> {
        self.make_schedules().await?;
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
        self.make_schedules().await?;
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
        self.make_schedules().await?;
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
        self.make_schedules().await?;
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
