//! The statements of the desk, as templates: see [`Dialect::statement`].

use crate::database::dialect::Dialect;
use crate::database::statement::Statement;
use crate::database::table_ref::TableRef;

/// The columns of a row, in the order in which [`reading`](super::reading) reads them.
pub(super) const ROW: &str = "seq, message_id, topic, message_type, source, channel, kind, handler, error_type, error, \
     group_key, attempts, deaths, died_at, state, note, operation, body_bytes";

/// The columns of an operation, in the order in which [`reading`](super::reading) reads them.
const OPERATION: &str = "seq, id, plan, state, canary_passed, outcome, begun_at, ended_at";

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $template:expr;)*) => {
        /// All statements for one table in one dialect.
        #[derive(Debug)]
        pub(crate) struct DeskStatements {
            /// The statements that a filter is part of are made when they are needed.
            pub(super) dialect: Dialect,
            pub(super) table: TableRef,
            $($(#[$doc])* pub(super) $name: Statement,)*
        }

        impl DeskStatements {
            pub(super) fn new(dialect: &Dialect, table: &TableRef) -> Self {
                let of = |template: &str| {
                    let template = template.replace("{row}", ROW).replace("{operation}", OPERATION);
                    dialect.statement(&template, table)
                };
                Self {
                    dialect: *dialect,
                    table: table.clone(),
                    $($name: of($template),)*
                }
            }
        }
    };
}

statements! {
    now = "SELECT {now}";
    /// Values: key, id, topic, type, source, channel, kind, handler, error type, error, group, attempts or -1, time, bytes.
    insert = "INSERT INTO {table} (message_key, message_id, topic, message_type, source, channel, kind, handler, \
        error_type, error, group_key, attempts, deaths, died_at, state, body_bytes) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, CASE WHEN ?12 < 0 THEN NULL ELSE ?12 END, 1, ?13, 0, ?14){if_new}";
    find = "SELECT seq, state, group_key FROM {table} WHERE message_key = ?1{locked}";
    /// Values: row, header, body.
    insert_contents = "INSERT INTO {in}{name}_contents (seq, header, body) VALUES (?1, ?2, ?3)";
    /// Values: row, death, time, error, attempts or -1.
    insert_death = "INSERT INTO {in}{name}_deaths (entry, death, died_at, error, attempts) \
        VALUES (?1, ?2, ?3, ?4, CASE WHEN ?5 < 0 THEN NULL ELSE ?5 END){if_new}";
    /// Values: row, handler, error type, error, group, attempts or -1, time.
    died_again = "UPDATE {table} SET handler = ?2, error_type = ?3, error = ?4, group_key = ?5, \
        attempts = CASE WHEN ?6 < 0 THEN NULL ELSE ?6 END, deaths = deaths + 1, died_at = ?7, state = 0 WHERE seq = ?1";
    /// Values: group, change of those that wait, new deaths, time of the first and of the last.
    count_group = "UPDATE {in}{name}_groups SET waiting = waiting + ?2, deaths = deaths + ?3, \
        first_at = CASE WHEN ?3 > 0 AND ?4 < first_at THEN ?4 ELSE first_at END, \
        last_at = CASE WHEN ?3 > 0 AND ?5 > last_at THEN ?5 ELSE last_at END WHERE group_key = ?1";
    /// Values: those of `count_group`, channel, kind, handler, error type, pattern.
    insert_group = "INSERT INTO {in}{name}_groups (group_key, waiting, deaths, first_at, last_at, channel, kind, handler, \
        error_type, pattern) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10){if_new}";
    /// Values: group, hour, deaths.
    count_hour = "UPDATE {in}{name}_hours SET deaths = deaths + ?3 WHERE group_key = ?1 AND hour = ?2";
    insert_hour = "INSERT INTO {in}{name}_hours (group_key, hour, deaths) VALUES (?1, ?2, ?3){if_new}";
    groups = "SELECT group_key, channel, kind, handler, error_type, pattern, waiting, deaths, first_at, last_at \
        FROM {in}{name}_groups WHERE waiting > 0 ORDER BY waiting DESC, group_key LIMIT ?1";
    hours = "SELECT hour, deaths FROM {in}{name}_hours WHERE group_key = ?1 AND hour > ?2";
    row = "SELECT {row} FROM {table} WHERE seq = ?1";
    contents = "SELECT header, body FROM {in}{name}_contents WHERE seq = ?1";
    deaths = "SELECT died_at, error, attempts FROM {in}{name}_deaths WHERE entry = ?1 ORDER BY seq";
    state_of = "SELECT state, group_key FROM {table} WHERE seq = ?1{locked}";
    /// Values: row, state, operation, note or nothing.
    set_state = "UPDATE {table} SET state = ?2, operation = ?3, note = CASE WHEN ?4 = '' THEN note ELSE ?4 END WHERE seq = ?1";
    /// Values: row, new state, operation, old state.
    change_state = "UPDATE {table} SET state = ?2 WHERE seq = ?1 AND operation = ?3 AND state = ?4";
    delete = "DELETE FROM {table} WHERE seq = ?1";
    delete_contents = "DELETE FROM {in}{name}_contents WHERE seq = ?1";
    delete_deaths = "DELETE FROM {in}{name}_deaths WHERE entry = ?1";

    /// Values: id, plan.
    insert_operation = "INSERT INTO {in}{name}_operations (id, plan, state, canary_passed, begun_at, claim, claimed_until) \
        VALUES (?1, ?2, 0, 0, {now}, 0, 0)";
    operation = "SELECT {operation} FROM {in}{name}_operations WHERE id = ?1";
    operations = "SELECT {operation} FROM {in}{name}_operations ORDER BY seq DESC LIMIT ?1";
    counts = "SELECT state, COUNT(*) FROM {in}{name}_items WHERE operation = ?1 GROUP BY state";
    /// Values: operation, row, limit.
    items = "SELECT entry, state, note FROM {in}{name}_items WHERE operation = ?1 AND entry > ?2 ORDER BY entry LIMIT ?3";
    items_in = "SELECT entry FROM {in}{name}_items WHERE operation = ?1 AND state = ?2 ORDER BY entry LIMIT ?3";
    /// Values: operation, age, limit.
    items_sent = "SELECT entry FROM {in}{name}_items WHERE operation = ?1 AND state = 2 AND changed_at <= {now} - ?2 \
        ORDER BY entry LIMIT ?3";
    /// Values: operation, row, new state, note, lowest and highest old state.
    set_item = "UPDATE {in}{name}_items SET state = ?3, note = ?4, changed_at = {now} \
        WHERE operation = ?1 AND entry = ?2 AND state >= ?5 AND state <= ?6";
    any_claimable = "SELECT seq, id FROM {in}{name}_operations WHERE state = 0 AND claimed_until <= {now} \
        ORDER BY seq LIMIT 1{for_update}";
    one_claimable = "SELECT seq, id FROM {in}{name}_operations WHERE id = ?1 AND state = 0 AND claimed_until <= {now}{for_update}";
    /// Values: operation, token, lease.
    claim = "UPDATE {in}{name}_operations SET claim = ?2, claimed_until = {now} + ?3 WHERE seq = ?1";
    /// Values: id, token, lease.
    renew = "UPDATE {in}{name}_operations SET claimed_until = {now} + ?3 WHERE id = ?1 AND claim = ?2";
    give_up = "UPDATE {in}{name}_operations SET claim = 0, claimed_until = 0 WHERE id = ?1 AND claim = ?2";
    pass_canary = "UPDATE {in}{name}_operations SET canary_passed = 1 WHERE id = ?1";
    /// Values: id, state, outcome.
    finish = "UPDATE {in}{name}_operations SET state = ?2, outcome = ?3, ended_at = {now}, claim = 0, claimed_until = 0 \
        WHERE id = ?1";
    stop = "UPDATE {in}{name}_operations SET state = 1, outcome = ?2, ended_at = {now} WHERE id = ?1 AND state = 0";
    go_on = "UPDATE {in}{name}_operations SET state = 0, outcome = NULL, ended_at = NULL, canary_passed = 1 \
        WHERE id = ?1 AND state = 1";
    /// Values: operation, who, what.
    insert_audit = "INSERT INTO {in}{name}_audit (operation, at, who, what) VALUES (?1, {now}, ?2, ?3)";
    audit = "SELECT at, who, what FROM {in}{name}_audit WHERE operation = ?1 ORDER BY seq";
}
