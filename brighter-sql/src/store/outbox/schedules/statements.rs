//! The statements about schedules, as templates: see [`Dialect::statement`].

use crate::database::dialect::Dialect;
use crate::database::statement::Statement;
use crate::database::table_ref::TableRef;

/// The columns in the order in which rows are read.
const COLUMNS: &str = "name, program, expression, zone, settings, header, body, state, next_at, run_at, due_at, last_at, \
     last_id, version";

/// The first schedule to become due: one entry of the index.
const LOOK: &str = "SELECT due_at, {now} FROM {table}{by_due} WHERE due_at IS NOT NULL \
     AND (program IS NULL OR program = ?1) ORDER BY due_at LIMIT 1";

const DUE: &str = "SELECT {columns} FROM {table}{by_due} WHERE due_at IS NOT NULL AND due_at <= {now} \
     AND (program IS NULL OR program = ?1) ORDER BY due_at LIMIT ?2";

const FIND: &str = "SELECT {columns} FROM {table} WHERE name = ?1";

/// Value 2 is 0 for the beginning of the list.
const LIST: &str = "SELECT {columns} FROM {table} WHERE (?2 = 0 OR name > ?1) ORDER BY name LIMIT ?3";

const NOW: &str = "SELECT {now}";

const ADD: &str = "INSERT INTO {table} (program, expression, zone, settings, header, body, state, next_at, run_at, \
     due_at, last_at, last_id, name, version) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 1){if_new}";

const REPLACE: &str = "UPDATE {table} SET program = ?1, expression = ?2, zone = ?3, settings = ?4, header = ?5, \
     body = ?6, state = ?7, next_at = ?8, run_at = ?9, due_at = ?10, last_at = ?11, last_id = ?12, \
     version = version + 1 WHERE name = ?13";

const REMOVE: &str = "DELETE FROM {table} WHERE name = ?1";

/// All statements for one table in one dialect.
#[derive(Debug)]
pub(super) struct ScheduleStatements {
    pub(super) look: Statement,
    pub(super) due: Statement,
    pub(super) find: Statement,
    pub(super) list: Statement,
    pub(super) now: Statement,
    pub(super) lock: Statement,
    pub(super) advance: Statement,
    pub(super) add: Statement,
    pub(super) replace: Statement,
    pub(super) remove: Statement,
}

impl ScheduleStatements {
    pub(super) fn new(dialect: &Dialect, table: &TableRef) -> Self {
        let of = |template: &str| {
            let template = template.replace("{columns}", COLUMNS);
            dialect.statement(&template.replace("{by_due}", dialect.schedules.by_due), table)
        };
        Self {
            look: of(LOOK),
            due: of(DUE),
            find: of(FIND),
            list: of(LIST),
            now: of(NOW),
            lock: of(dialect.schedules.lock),
            advance: of(dialect.schedules.advance),
            add: of(ADD),
            replace: of(REPLACE),
            remove: of(REMOVE),
        }
    }
}
