//! The statements of the outbox, as templates: see [`Dialect::statement`].

use crate::database::dialect::{ClaimStyle, Dialect};
use crate::database::statement::Statement;
use crate::database::table_ref::TableRef;

/// `outstanding` is 1, or 0 when the broker has the message, 2 when it is dead, and 3 when it is scheduled.
pub(super) const IS_SAME: &str = "SELECT CASE WHEN topic = ?2 THEN 'same' ELSE 'other' END, body FROM {table} WHERE message_id = ?1{latest}";

pub(super) const DISPATCHED: &str = "UPDATE {table_by_ids} SET outstanding = 0, dispatched_at = {now} \
     WHERE {outstanding} = 1{and_among_ids}";

pub(super) const FAILED: &str = "UPDATE {table} SET claimed_until = {now}, attempts = attempts + 1, last_error = ?2, \
     not_before = {now} + ?3, outstanding = ?4 WHERE {outstanding} = 1 AND message_id = ?1";

/// Marks an unreadable row as dead, with the reason.
pub(super) const SET_ASIDE: &str = "UPDATE {table} SET claimed_until = {now}, attempts = attempts + 1, last_error = ?2, \
     outstanding = 2 WHERE seq = ?1";

pub(super) const RELEASE: &str =
    "UPDATE {table_by_ids} SET claimed_until = {now} WHERE {outstanding} = 1{and_among_ids}";

/// A row may only become shorter: see the schema of SQLite.
pub(super) const REPLAY: &str = "UPDATE {table} SET outstanding = 1, attempts = 0, last_error = NULL, \
     claimed_until = {now}, not_before = {now} WHERE {outstanding} = 0 AND causation_id = ?1";

pub(super) const REVIVE: &str = "UPDATE {table_by_ids} SET outstanding = 1, attempts = 0, last_error = NULL, \
     claimed_until = {now}, not_before = {now} WHERE {outstanding} = 2{and_among_ids}";

pub(super) const GET: &str = "SELECT message_id, header, body FROM {table_by_ids} WHERE 1 = 1{and_among_ids}";

pub(super) const STATE: &str =
    "SELECT outstanding, attempts, last_error, not_before - {now} FROM {table} WHERE message_id = ?1";

pub(super) const STATUS: &str = "SELECT count(*), {now} - min(deposited_at), \
     (SELECT count(*) FROM {table} WHERE outstanding = 2), \
     (SELECT count(*) FROM {table} WHERE outstanding = 3), \
     {now} - (SELECT min(not_before) FROM {table} WHERE outstanding = 3) \
     FROM {table}{by_outstanding} WHERE outstanding = 1";

pub(super) const OUTSTANDING_OF: &str =
    "SELECT message_id FROM {table} WHERE {outstanding} = 1 AND causation_id = ?1 LIMIT ?2";

pub(super) const DEAD: &str =
    "SELECT message_id, topic, attempts, last_error FROM {table} WHERE outstanding = 2 ORDER BY seq LIMIT ?1";

/// Counts no further than the limit, so that a full outbox is not counted completely.
pub(super) const COUNT: &str = "SELECT count(*) + (SELECT count(*) FROM (SELECT 1 FROM {table} WHERE outstanding = 3 LIMIT ?1) AS later) \
     FROM (SELECT 1 FROM {table}{by_outstanding} WHERE outstanding = 1 LIMIT ?1) AS counted";

/// Inserts a scheduled message.
const SCHEDULE: &str = "INSERT INTO {table} (message_id, topic, message_type, header, body, deposited_at, not_before, \
     dispatched_at, claimed_until, causation_id, outstanding) \
     VALUES (?1, ?2, ?3, ?4, ?5, {now}, {now} + ?6, {now}, {now}, ?7, 3){if_new}";

const RESCHEDULE: &str =
    "UPDATE {table} SET not_before = {now} + ?2 WHERE {outstanding} = 3 AND message_id = ?1";

const CANCEL: &str = "DELETE FROM {table} WHERE {outstanding} = 3 AND message_id = ?1";

const SCHEDULED: &str = "SELECT message_id, topic, not_before - {now} FROM {table} WHERE outstanding = 3 ORDER BY not_before LIMIT ?1";

const DUE: &str = "SELECT message_id FROM {table} WHERE outstanding = 3 AND not_before <= {now} ORDER BY not_before LIMIT ?1";

/// Sets the deposit time to the due time. A message that was rescheduled meanwhile is not due.
const MAKE_DUE: &str = "UPDATE {table_by_ids} SET outstanding = 1, deposited_at = not_before, claimed_until = {now} \
     WHERE {outstanding} = 3 AND not_before <= {now}{and_among_ids}";

/// Selects the next messages of a topic: the rest of each claim, the time until it is due, and its age above the
/// lowest.
pub(super) const NEXT: &str = "SELECT message_id, claimed_until - {now}, not_before - {now}, \
     {now} - ?2 - deposited_at FROM {table}{by_topic} WHERE outstanding = 1 AND topic = ?1 ORDER BY seq LIMIT ?3";

/// Selects the dispatched or the dead messages that were deposited in a range of times.
pub(super) const SELECTED: &str = "SELECT message_id FROM {table} WHERE outstanding = ?1 AND deposited_at >= ?2 \
     AND deposited_at < ?3{and_topic} ORDER BY seq LIMIT ?4";

pub(super) const AGAIN: &str = "UPDATE {table_by_ids} SET outstanding = 1, attempts = 0, last_error = NULL, \
     claimed_until = {now}, not_before = {now} WHERE outstanding <> 1{and_among_ids}";

pub(super) const OLD: &str = "SELECT message_id FROM {table} WHERE outstanding = 0 AND dispatched_at <= {now} - ?1 \
     ORDER BY dispatched_at LIMIT ?2{for_update}";

/// The claim of a message ends when it dies, so this is the time of its death.
pub(super) const LONG_DEAD: &str = "SELECT message_id FROM {table} WHERE outstanding = 2 AND claimed_until <= {now} - ?1 \
     ORDER BY seq LIMIT ?2{for_update}";

pub(super) const KEEP: &str = "INSERT INTO {archive} (seq, message_id, topic, message_type, outstanding, attempts, \
     deposited_at, dispatched_at, archived_at, last_error, causation_id, header, body) \
     SELECT seq, message_id, topic, message_type, outstanding, attempts, deposited_at, dispatched_at, {now}, \
     last_error, causation_id, header, body FROM {table_by_ids} WHERE outstanding <> 1{and_among_ids}";

pub(super) const FORGET: &str = "{delete_by_ids} AND outstanding <> 1";

/// The numbers of messages that one statement inserts. There are few sizes, so that few statements are prepared.
const SIZES: [usize; 3] = [64, 8, 1];

/// The number of values of a message.
pub(super) const VALUES: usize = 7;

/// Selects who holds a key, and for how long.
const KEY_HOLDER: &str = "SELECT message_id, expires_at - {now} FROM {unique} WHERE unique_key = ?1{latest}";

/// All statements for one table in one dialect.
#[derive(Debug)]
pub(super) struct OutboxStatements {
    inserts: [(usize, Statement); SIZES.len()],
    pub(super) is_same: Statement,
    pub(super) dispatched: Statement,
    pub(super) failed: Statement,
    pub(super) set_aside: Statement,
    pub(super) release: Statement,
    pub(super) replay: Statement,
    pub(super) revive: Statement,
    pub(super) get: Statement,
    pub(super) state: Statement,
    pub(super) status: Statement,
    pub(super) outstanding_of: Statement,
    pub(super) dead: Statement,
    pub(super) count: Statement,
    pub(super) claim_oldest: ClaimStatements,
    pub(super) claim_oldest_except: ClaimStatements,
    pub(super) claim_of_topic: ClaimStatements,
    pub(super) claim_ids: ClaimStatements,
    pub(super) claim_ids_except: ClaimStatements,
    pub(super) schedule: Statement,
    pub(super) reschedule: Statement,
    pub(super) cancel: Statement,
    pub(super) scheduled: Statement,
    pub(super) due: Statement,
    pub(super) make_due: Statement,
    pub(super) next: Statement,
    pub(super) selected: Statement,
    pub(super) selected_of_topic: Statement,
    pub(super) again: Statement,
    pub(super) old: Statement,
    pub(super) long_dead: Statement,
    pub(super) keep: Statement,
    pub(super) forget: Statement,
    pub(super) take_key: Statement,
    pub(super) key_holder: Statement,
    pub(super) forget_keys: Statement,
}

/// A claim: a statement that returns the rows, and for some dialects a second one that writes the claim.
#[derive(Debug)]
pub(super) struct ClaimStatements {
    pub(super) rows: Statement,
    pub(super) write: Option<Statement>,
    /// Begins the transaction of both, if a plain one does not suffice.
    pub(super) begin: Option<&'static str>,
}

impl OutboxStatements {
    pub(super) fn new(dialect: &Dialect, table: &TableRef) -> Self {
        let of = |template: &str| dialect.statement(template, table);
        let with = |template: &str, index: &str, and_topic: &str| {
            of(&template
                .replace("{by_index}", index)
                .replace("{and_topic}", and_topic))
        };
        let claim = |claiming: ClaimStyle, index: &str, and_topic: &str| match claiming {
            ClaimStyle::AtOnce(rows) => ClaimStatements {
                rows: with(rows, index, and_topic),
                write: None,
                begin: None,
            },
            ClaimStyle::LockFirst(rows) => ClaimStatements {
                rows: with(rows, index, and_topic),
                write: Some(of(CLAIM)),
                begin: dialect.begin_claim,
            },
        };
        let oldest = |index: &str, and_topic: &str| ClaimStatements {
            begin: dialect.begin_claim,
            ..claim(dialect.claim_oldest, index, and_topic)
        };
        let except = dialect.and_not_among_topics;
        Self {
            inserts: SIZES.map(|size| (size, of(&insert(size)))),
            is_same: of(IS_SAME),
            dispatched: of(DISPATCHED),
            failed: of(FAILED),
            set_aside: of(SET_ASIDE),
            release: of(RELEASE),
            replay: of(REPLAY),
            revive: of(REVIVE),
            get: of(GET),
            state: of(STATE),
            status: of(STATUS),
            outstanding_of: of(OUTSTANDING_OF),
            dead: of(DEAD),
            count: of(COUNT),
            claim_oldest: oldest(dialect.by_outstanding, ""),
            claim_oldest_except: oldest(dialect.by_outstanding, except),
            claim_of_topic: oldest(dialect.by_topic, " AND topic = ?4"),
            claim_ids: claim(dialect.claim_ids, "", ""),
            // The topics are the third value there.
            claim_ids_except: claim(dialect.claim_ids, "", &except.replace("?4", "?3")),
            schedule: of(SCHEDULE),
            reschedule: of(RESCHEDULE),
            cancel: of(CANCEL),
            scheduled: of(SCHEDULED),
            due: of(DUE),
            make_due: of(MAKE_DUE),
            next: of(NEXT),
            selected: with(SELECTED, "", ""),
            selected_of_topic: with(SELECTED, "", " AND topic = ?5"),
            again: of(AGAIN),
            old: of(OLD),
            long_dead: of(LONG_DEAD),
            keep: of(KEEP),
            forget: of(FORGET),
            take_key: of(dialect.take_key),
            key_holder: of(KEY_HOLDER),
            forget_keys: of(dialect.forget_keys),
        }
    }

    /// Returns the largest insert for at most this many messages, and its number of messages.
    pub(super) fn insert(&self, messages: usize) -> (usize, &Statement) {
        let fits = self.inserts.iter().find(|(size, _)| *size <= messages);
        // The last one takes one message.
        let (size, statement) = fits.unwrap_or(&self.inserts[SIZES.len() - 1]);
        (*size, statement)
    }
}

/// Writes the claim in locked rows by their ids. Values: the ids, lease.
const CLAIM: &str =
    "UPDATE {table_by_ids} SET claimed_until = {now} + ?2 WHERE outstanding = 1{and_among_ids}";

fn insert(messages: usize) -> String {
    let row = |number: usize| {
        let [id, topic, kind, header, body, lease, cause] =
            std::array::from_fn(|at| format!("?{}", number * VALUES + at + 1));
        format!(
            "({id}, {topic}, {kind}, {header}, {body}, {{now}}, {{now}}, {{now}}, {{now}} + {lease}, {cause})"
        )
    };
    let rows: Vec<_> = (0..messages).map(row).collect();
    format!(
        "INSERT INTO {{table}} (message_id, topic, message_type, header, body, deposited_at, not_before, \
         dispatched_at, claimed_until, causation_id) VALUES {}{{if_new}}",
        rows.join(", ")
    )
}
