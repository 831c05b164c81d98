//! The outbox in a database, whichever it is.

mod claiming;
mod deposit_statement;
mod depositing;
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
mod statements;

use std::sync::Arc;

pub use deposit_statement::DepositStatement;
pub use options::OutboxOptions;
pub(crate) use port::implement_outbox;

use super::row;
use crate::database::backend::{Backend, reading};
use crate::database::schema::Schema;
use crate::database::statement::Statement;
use crate::database::value::{Sql, Value};
use brighter_core::__private::Bell;
use brighter_core::id::MessageId;
use brighter_core::outbox::{Archive, Arrival, Arrivals, Failure, OutboxError, Selection};
use operations::{Again, ArchiveOld, Execute, Failing};
use room::Room;
use statements::Statements;

/// The outbox in a database.
#[derive(Debug, Clone)]
pub(crate) struct SqlOutbox<B> {
    backend: B,
    #[cfg(feature = "postgres")]
    table: Arc<str>,
    statements: Arc<Statements>,
    room: Option<Room>,
    /// Rung at each deposit that nobody has claimed.
    bell: Bell,
}

/// The tables of an outbox.
pub(crate) fn schema<D: Sql>(options: &OutboxOptions) -> Result<Schema, OutboxError> {
    let table = options.table_name()?;
    Ok(Schema::new(
        "outbox",
        options::TABLE,
        table,
        D::DIALECT.schema.outbox,
    ))
}

impl<B: Backend> SqlOutbox<B> {
    /// Makes the tables or brings them up to date.
    pub(crate) async fn open(backend: B, options: &OutboxOptions) -> Result<Self, OutboxError> {
        let schema = schema::<B::Db>(options)?;
        reading(schema.apply(&backend)).await?;
        Ok(Self {
            #[cfg(feature = "postgres")]
            table: options.table_name()?.into(),
            statements: Arc::new(Statements::new(&B::Db::DIALECT, options.table_name()?)),
            room: options.limit.map(Room::new),
            bell: Bell::new(),
            backend,
        })
    }

    /// The name of the table.
    #[cfg(feature = "postgres")]
    pub(crate) fn table(&self) -> &str {
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
            .write(Again {
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
        self.backend.write(ArchiveOld { statements, what }).await
    }

    /// Tells of deposits in this process.
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
        self.backend.write(Execute { statement, values }).await
    }
}
