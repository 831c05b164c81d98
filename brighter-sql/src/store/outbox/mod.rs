//! [`SqlOutbox`]: the outbox in any supported database.

mod claiming;
mod deposit_statement;
mod depositing;
#[cfg(test)]
#[cfg(feature = "sqlite")]
mod guards;
#[cfg(test)]
mod indexed;
mod operations;
mod options;
#[cfg(test)]
#[cfg(all(feature = "postgres", feature = "mysql"))]
mod plans;
mod port;
mod reading;
mod room;
mod schedule;
mod schedules;
mod statements;
mod unique;

use std::sync::Arc;

use tokio::sync::OnceCell;

pub use deposit_statement::DepositStatement;
pub use options::OutboxOptions;
pub(crate) use port::implement_outbox;

use self::schedules::table::{SqlSchedules, schedules_schema};
use super::row;
use crate::database::backend::{Backend, in_time};
use crate::database::dialect::Dialect;
use crate::database::schema::{Locate, Schema};
use crate::database::statement::Statement;
use crate::database::table_ref::TableRef;
use crate::database::value::{Sql, Value};
use brighter_core::__private::Bell;
use brighter_core::id::MessageId;
use brighter_core::outbox::{Archive, Arrival, Arrivals, Failure, OutboxError, Selection};
use operations::{ArchiveOld, ExecuteOutbox, Failing, SendAgain};
use room::Room;
use statements::OutboxStatements;

/// The outbox in a database.
#[derive(Debug, Clone)]
pub(crate) struct SqlOutbox<B> {
    backend: B,
    #[cfg_attr(
        not(feature = "postgres"),
        expect(dead_code, reason = "PostgreSQL listens to it")
    )]
    table: TableRef,
    statements: Arc<OutboxStatements>,
    archive_schema: Arc<Schema>,
    /// Whether the table of the archive is known to exist.
    archive: Arc<OnceCell<()>>,
    schedules: Arc<SqlSchedules>,
    room: Option<Room>,
    /// Notified at each deposit without a claim.
    bell: Bell,
}

/// The columns that an outbox has had since version 1.
const COLUMNS: &[&str] = &[
    "seq",
    "message_id",
    "topic",
    "outstanding",
    "deposited_at",
    "not_before",
    "claimed_until",
    "dispatched_at",
    "header",
    "body",
];

/// The columns of its archive.
const ARCHIVE_COLUMNS: &[&str] = &[
    "seq",
    "message_id",
    "outstanding",
    "archived_at",
    "header",
    "body",
];

/// Returns the tables of an outbox as SQL.
pub(crate) fn ddl<D: Sql>(options: &OutboxOptions) -> Result<String, OutboxError> {
    let (dialect, table) = (D::DIALECT, options.table_in_script(&D::DIALECT)?);
    let archive = options
        .has_archive
        .then(|| archive_schema(&dialect, options, &table).ddl::<D>());
    let schedules = options
        .has_schedules
        .then(|| schedules_schema(&dialect, options, &table).ddl::<D>());
    let outbox = schema(&dialect, options, table).ddl::<D>();
    Ok(outbox + archive.as_deref().unwrap_or_default() + schedules.as_deref().unwrap_or_default())
}

fn schema(dialect: &Dialect, options: &OutboxOptions, table: TableRef) -> Schema {
    let names = [options::TABLE, &options.table];
    Schema::new("outbox", names, table, COLUMNS, dialect.schema.outbox)
}

fn archive_schema(dialect: &Dialect, options: &OutboxOptions, table: &TableRef) -> Schema {
    let names = [options::TABLE, &options.table];
    let archive = table.sibling(&format!("{}_archive", table.name()));
    Schema::new("archive", names, archive, ARCHIVE_COLUMNS, dialect.schema.archive)
}

impl<B: Backend> SqlOutbox<B> {
    /// Creates or upgrades the tables.
    pub(crate) async fn open(backend: B, options: &OutboxOptions) -> Result<Self, OutboxError> {
        let dialect = backend.dialect();
        let locate = Locate {
            dialect,
            schema: options.schema.as_deref(),
            name: &options.table,
        };
        let table = backend.read(locate).await?;
        in_time(schema(&dialect, options, table.clone()).apply(&backend)).await?;
        let outbox = Self {
            statements: Arc::new(OutboxStatements::new(&dialect, &table)),
            archive: Arc::new(OnceCell::new()),
            archive_schema: Arc::new(archive_schema(&dialect, options, &table)),
            schedules: Arc::new(SqlSchedules::new(&dialect, options, &table)),
            table,
            room: options.limit.map(Room::new),
            bell: Bell::new(),
            backend,
        };
        if options.has_archive {
            outbox.make_archive().await?;
        }
        if options.has_schedules {
            outbox.schedules.make(&outbox.backend).await?;
        }
        Ok(outbox)
    }

    /// Creates the table of the archive, unless this process has done so.
    async fn make_archive(&self) -> Result<(), OutboxError> {
        let make = || in_time(self.archive_schema.apply(&self.backend));
        self.archive.get_or_try_init(make).await?;
        Ok(())
    }

    /// Returns the table, as statements name it.
    #[cfg(feature = "postgres")]
    pub(crate) fn table(&self) -> &TableRef {
        &self.table
    }

    pub(crate) fn backend(&self) -> &B {
        &self.backend
    }

    pub(crate) async fn send_again(&self, which: &Selection) -> Result<u64, OutboxError> {
        let (since, before) = which.range();
        let outstanding = if which.dead { 2 } else { 0 };
        let mut values = [outstanding, since, before, row::limit(which.limit)]
            .map(Value::Number)
            .to_vec();
        let topic = which
            .topic
            .as_ref()
            .map(|topic| row::stored::<B::Db>(topic.as_str()));
        let selected = match &topic {
            None => &self.statements.selected,
            Some(topic) => {
                values.push(Value::Text(topic));
                &self.statements.selected_of_topic
            }
        };
        let again = &self.statements.again;
        let again = self
            .backend
            .write(SendAgain {
                selected,
                values: &values,
                again,
            })
            .await?;
        self.bell.ring(Arrival::Here);
        Ok(again)
    }

    pub(crate) async fn archive(&self, what: &Archive) -> Result<u64, OutboxError> {
        let (statements, what) = (&*self.statements, *what);
        if what.keep {
            self.make_archive().await?;
        }
        self.backend.write(ArchiveOld { statements, what }).await
    }

    /// Returns the arrivals of deposits in this process.
    pub(crate) fn arrivals(&self) -> Arrivals {
        self.bell.arrivals()
    }

    pub(crate) async fn mark_dispatched(&self, ids: &[MessageId]) -> Result<(), OutboxError> {
        self.update(&self.statements.dispatched, ids).await.map(drop)
    }

    pub(crate) async fn release(&self, ids: &[MessageId]) -> Result<(), OutboxError> {
        self.update(&self.statements.release, ids).await.map(drop)
    }

    pub(crate) async fn revive(&self, ids: &[MessageId]) -> Result<u64, OutboxError> {
        self.update(&self.statements.revive, ids).await
    }

    async fn update(&self, statement: &Statement, ids: &[MessageId]) -> Result<u64, OutboxError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let ids = row::list::<B::Db>(ids)?;
        self.execute(statement, &[Value::Text(&ids)]).await
    }

    pub(crate) async fn mark_failed(&self, failures: &[Failure]) -> Result<(), OutboxError> {
        if failures.is_empty() {
            return Ok(());
        }
        let statements = &self.statements;
        self.backend.write(Failing { statements, failures }).await
    }

    pub(crate) async fn replay(&self, causation: &MessageId) -> Result<u64, OutboxError> {
        let (statement, causation) = (&self.statements.replay, row::id_text::<B::Db>(causation));
        self.execute(statement, &[Value::Text(&causation)]).await
    }

    async fn execute(&self, statement: &Statement, values: &[Value<'_>]) -> Result<u64, OutboxError> {
        self.backend.write(ExecuteOutbox { statement, values }).await
    }
}
