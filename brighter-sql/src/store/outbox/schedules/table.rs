//! The table of schedules, beside that of the messages.

use tokio::sync::OnceCell;

use super::statements::ScheduleStatements;
use crate::database::backend::{Backend, in_time};
use crate::database::dialect::Dialect;
use crate::database::schema::Schema;
use crate::database::table_ref::TableRef;
use crate::store::outbox::options::{self, OutboxOptions};
use brighter_core::outbox::OutboxError;

/// The table of schedules, which exists once somebody needs it.
#[derive(Debug)]
pub(in crate::store::outbox) struct SqlSchedules {
    pub(super) statements: ScheduleStatements,
    schema: Schema,
    /// Whether the table is known to exist.
    made: OnceCell<()>,
}

/// The columns that the table has had since version 1.
const COLUMNS: &[&str] = &["name", "program", "expression", "zone", "due_at", "version"];

pub(in crate::store::outbox) fn schedules_schema(
    dialect: &Dialect,
    options: &OutboxOptions,
    table: &TableRef,
) -> Schema {
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
    pub(in crate::store::outbox) fn new(
        dialect: &Dialect,
        options: &OutboxOptions,
        table: &TableRef,
    ) -> Self {
        Self {
            statements: ScheduleStatements::new(dialect, &beside(table)),
            schema: schedules_schema(dialect, options, table),
            made: OnceCell::new(),
        }
    }
    /// Creates the table, unless this process has done so.
    pub(in crate::store::outbox) async fn make<B: Backend>(&self, backend: &B) -> Result<(), OutboxError> {
        let make = || in_time(self.schema.apply(backend));
        self.made.get_or_try_init(make).await?;
        Ok(())
    }
}
