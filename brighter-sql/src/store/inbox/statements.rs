//! The statements of the inbox, as templates: see [`Dialect::statement`].

use crate::database::dialect::Dialect;
use crate::database::statement::Statement;
use crate::database::table_ref::TableRef;

/// `ends_at` is the end of the claim, or the time when the request was handled. Values: id, context, fingerprint,
/// whether there is one, claim, lease, and the fingerprint as earlier versions kept it.
const BEGIN: &str = "INSERT INTO {table} (message_id, context, fingerprint, claim, done, ends_at) \
     VALUES (?1, ?2, CASE WHEN ?4 = 0 THEN NULL ELSE ?3 END, ?5, 0, {now} + ?6){if_new}";

/// Takes over only a claim that has ended, and only for the same body.
const TAKE_OVER: &str = "UPDATE {table} SET claim = ?5, ends_at = {now} + ?6, \
     fingerprint = CASE WHEN ?4 = 0 THEN fingerprint ELSE ?3 END \
     WHERE message_id = ?1 AND context = ?2 AND done = 0 AND ends_at <= {now} \
     AND (fingerprint IS NULL OR ?4 = 0 OR fingerprint IN (?3, ?7))";

const FIND: &str =
    "SELECT done, ends_at - {now}, fingerprint FROM {table} WHERE message_id = ?1 AND context = ?2";

/// Records a request as handled, in the transaction of its handler. The values are those of [`BEGIN`].
const RECORD: &str = "INSERT INTO {table} (message_id, context, fingerprint, claim, done, ends_at) \
     VALUES (?1, ?2, CASE WHEN ?4 = 0 THEN NULL ELSE ?3 END, ?5, 1, {now}){if_new}";

/// Takes over only a claim that has ended, and only for the same body.
const RECORD_ENDED: &str = "UPDATE {table} SET claim = ?5, done = 1, ends_at = {now}, \
     fingerprint = CASE WHEN ?4 = 0 THEN fingerprint ELSE ?3 END \
     WHERE message_id = ?1 AND context = ?2 AND done = 0 AND ends_at <= {now} \
     AND (fingerprint IS NULL OR ?4 = 0 OR fingerprint IN (?3, ?6))";

/// Finds a record, also one that another transaction has committed meanwhile.
const FIND_LATEST: &str = "SELECT done, ends_at - {now}, fingerprint, claim FROM {table} \
     WHERE message_id = ?1 AND context = ?2{latest}";

const HOLDS: &str =
    "SELECT done FROM {table} WHERE message_id = ?1 AND context = ?2 AND claim = ?3 AND done = 1";

const COMPLETE: &str =
    "UPDATE {table} SET done = 1, ends_at = {now} WHERE message_id = ?1 AND context = ?2 AND done = 0";

const COMPLETE_UNKNOWN: &str = "INSERT INTO {table} (message_id, context, claim, done, ends_at) \
     VALUES (?1, ?2, 0, 1, {now}){if_new}";

const COMPLETE_CLAIM: &str = "UPDATE {table} SET done = 1, ends_at = {now} \
     WHERE message_id = ?1 AND context = ?2 AND claim = ?3 AND done = 0";

const ABANDON: &str =
    "DELETE FROM {table} WHERE message_id = ?1 AND context = ?2 AND claim = ?3 AND done = 0";

/// The number of ids that [`handled`] looks for at once.
pub(super) const LOOKED_FOR: usize = 32;

/// Returns which of these ids were handled, by their numbers.
fn handled() -> String {
    let number = |at: usize| format!(" WHEN ?{at} THEN '{at}'");
    let (cases, ids): (String, Vec<_>) = (
        (1..=LOOKED_FOR).map(number).collect(),
        (1..=LOOKED_FOR).map(|at| format!("?{at}")).collect(),
    );
    format!(
        "SELECT DISTINCT CASE message_id{cases} END FROM {{table}} WHERE message_id IN ({}) AND done = 1",
        ids.join(", ")
    )
}

/// Deletes a limited number at once, so that other calls do not wait long. Claims that ended long ago are deleted too.
const FORGET: &str = "DELETE FROM {table} WHERE seq IN (SELECT seq FROM \
     (SELECT seq FROM {table} WHERE ends_at <= {now} - ?1 ORDER BY ends_at LIMIT 500) AS old)";

/// The number of keys that [`FORGET`] deletes at once.
pub(super) const FORGOTTEN_AT_ONCE: u64 = 500;

/// All statements for one table in one dialect.
#[derive(Debug)]
pub(super) struct InboxStatements {
    pub(super) begin: Statement,
    pub(super) take_over: Statement,
    pub(super) find: Statement,
    pub(super) record: Statement,
    pub(super) record_ended: Statement,
    pub(super) find_latest: Statement,
    pub(super) holds: Statement,
    pub(super) complete: Statement,
    pub(super) complete_unknown: Statement,
    pub(super) complete_claim: Statement,
    pub(super) abandon: Statement,
    pub(super) forget: Statement,
    pub(super) handled: Statement,
}

impl InboxStatements {
    pub(super) fn new(dialect: &Dialect, table: &TableRef) -> Self {
        let of = |template: &str| dialect.statement(template, table);
        Self {
            begin: of(BEGIN),
            take_over: of(TAKE_OVER),
            find: of(FIND),
            record: of(RECORD),
            record_ended: of(RECORD_ENDED),
            find_latest: of(FIND_LATEST),
            holds: of(HOLDS),
            complete: of(COMPLETE),
            complete_unknown: of(COMPLETE_UNKNOWN),
            complete_claim: of(COMPLETE_CLAIM),
            abandon: of(ABANDON),
            forget: of(FORGET),
            handled: of(&handled()),
        }
    }
}
