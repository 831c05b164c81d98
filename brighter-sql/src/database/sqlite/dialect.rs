//! The dialect of SQLite.

use crate::database::dialect::{ClaimStyle, Dialect, Placeholder, ScheduleDialect, SchemaDialect};

pub(super) const SQLITE: Dialect = Dialect {
    placeholder: Placeholder::Question,
    keeps_statements: true,
    keeps_nul: true,
    now: "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
    table_by_ids: "{table}",
    and_among_ids: " AND message_id IN (SELECT value FROM json_each(?1))",
    outstanding: "outstanding",
    if_new: " ON CONFLICT DO NOTHING",
    latest: "",
    // Otherwise SQLite scans the table in the order of its key, past every dispatched message.
    by_outstanding: " INDEXED BY {name}_outstanding",
    by_topic: " INDEXED BY {name}_topic",
    and_not_among_topics: " AND topic NOT IN (SELECT value FROM json_each(?4))",
    delete_by_ids: "DELETE FROM {table} WHERE 1 = 1{and_among_ids}",
    take_key: "INSERT INTO {unique} AS held (unique_key, message_id, expires_at) VALUES (?1, ?2, {now} + ?3) \
        ON CONFLICT (unique_key) DO UPDATE SET message_id = excluded.message_id, expires_at = excluded.expires_at \
        WHERE held.expires_at <= {now}",
    forget_keys: "DELETE FROM {unique} WHERE unique_key IN \
        (SELECT unique_key FROM {unique} WHERE expires_at <= {now} ORDER BY expires_at LIMIT ?1)",
    for_update: "",
    #[cfg(feature = "desk")]
    lock: "",
    #[cfg(feature = "desk")]
    contains: "instr({column}, {value}) > 0",
    // `RETURNING` returns the rows in any order.
    claim_oldest: ClaimStyle::AtOnce(
        "UPDATE {table} SET claimed_until = {now} + ?1 WHERE seq IN (SELECT seq FROM {table}{by_index} \
         WHERE outstanding = 1 AND deposited_at <= {now} - ?2 AND not_before <= {now} AND claimed_until <= {now}\
         {and_topic} ORDER BY seq LIMIT ?3) RETURNING seq, message_id, header, body, attempts",
    ),
    claim_ids: ClaimStyle::AtOnce(
        "UPDATE {table} SET claimed_until = {now} + ?2 WHERE outstanding = 1 AND claimed_until <= {now}\
         {and_among_ids}{and_topic} RETURNING seq, message_id, header, body, attempts",
    ),
    begin_any: None,
    begin_claim: None,
    quote: "\"",
    folds_names: false,
    current_schema: "'main'",
    // Only `main` is supported: see `TableError::OtherFile`.
    is_one_file: true,
    has_schema: "SELECT 1 WHERE ?1 = 'main'",
    schema_of: None,
    columns: "SELECT name FROM pragma_table_info(?2, ?1)",
    note_version: "INSERT INTO {in}brighter_schema (name, version) VALUES (?1, ?2)\n  \
        ON CONFLICT (name) DO UPDATE SET version = excluded.version",
    schedules: ScheduleDialect {
        by_due: " INDEXED BY {name}_due",
        lock: "SELECT name, version FROM {table} WHERE name IN (SELECT value FROM json_each(?1))",
        advance: "UPDATE {table} AS kept SET state = given.state, next_at = given.next_at, run_at = given.run_at, \
            due_at = given.due_at, last_at = given.last_at, last_id = given.last_id, version = kept.version + 1 \
            FROM (SELECT value ->> 'name' AS name, value ->> 'state' AS state, value ->> 'next_at' AS next_at, \
            value ->> 'run_at' AS run_at, value ->> 'due_at' AS due_at, value ->> 'last_at' AS last_at, \
            value ->> 'last_id' AS last_id FROM json_each(?1)) AS given WHERE kept.name = given.name",
    },
    schema: SchemaDialect {
        versions: VERSIONS,
        outbox: OUTBOX,
        archive: ARCHIVE,
        inbox: INBOX,
        schedules: SCHEDULES,
        #[cfg(feature = "desk")]
        desk: super::desk::DESK,
        // A writer locks the whole file.
        lock: None,
        unlock: None,
        begin: "BEGIN IMMEDIATE;\n",
        commit: "COMMIT;\n",
    },
};

/// The versions of the tables in a database.
const VERSIONS: &str = "\
CREATE TABLE IF NOT EXISTS {in}brighter_schema (
  name    TEXT PRIMARY KEY,
  version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Times are milliseconds since 1970 by the clock of the database. All of them are set from the start, to the time of
/// the deposit, and a flag marks outstanding messages. So a row has the same length before and after it is claimed and
/// dispatched, and SQLite overwrites its bytes in place. A row that grows would be rewritten with its body, and the
/// disk could be full.
///
/// With the columns after `seq`, the index shows which rows are due without a read of the table.
const OUTBOX: &[&str] = &[
    "\
CREATE TABLE IF NOT EXISTS {table} (
  seq           INTEGER PRIMARY KEY AUTOINCREMENT,
  message_id    TEXT    NOT NULL UNIQUE,
  topic         TEXT    NOT NULL,
  message_type  TEXT    NOT NULL,
  outstanding   INTEGER NOT NULL DEFAULT 1, -- 0 when the broker has it
  attempts      INTEGER NOT NULL DEFAULT 0, -- how often publishing it has failed
  deposited_at  INTEGER NOT NULL,
  not_before    INTEGER NOT NULL,           -- when it is due
  claimed_until INTEGER NOT NULL,           -- nobody has it when this is past
  dispatched_at INTEGER NOT NULL,           -- says something only when it is not outstanding
  last_error    TEXT,
  causation_id  TEXT,                       -- the message whose handling deposited it
  header        TEXT    NOT NULL,           -- JSON
  body          BLOB    NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS {in}{name}_outstanding
  ON {plain} (seq, deposited_at, not_before, claimed_until)
  WHERE outstanding = 1;
CREATE INDEX IF NOT EXISTS {in}{name}_causation
  ON {plain} (causation_id)
  WHERE causation_id IS NOT NULL;
",
    // Since version 2, `outstanding` may be 2: the message is dead.
    "\
CREATE INDEX IF NOT EXISTS {in}{name}_dead
  ON {plain} (seq)
  WHERE outstanding = 2;
",
    // Since version 3, topics are kept in order and old messages are removed.
    "\
CREATE INDEX IF NOT EXISTS {in}{name}_topic
  ON {plain} (topic, seq)
  WHERE outstanding = 1;
CREATE INDEX IF NOT EXISTS {in}{name}_dispatched
  ON {plain} (dispatched_at)
  WHERE outstanding = 0;
",
    // Since version 4, `outstanding` may be 3: the message is scheduled.
    "\
CREATE INDEX IF NOT EXISTS {in}{name}_scheduled
  ON {plain} (not_before)
  WHERE outstanding = 3;
",
    // Since version 5, posts may be unique. A key is held until `expires_at`.
    "\
CREATE TABLE IF NOT EXISTS {unique} (
  unique_key TEXT    PRIMARY KEY,
  message_id TEXT    NOT NULL, -- whose it is
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS {in}{name}_unique_expires_at ON {plain_unique} (expires_at);
",
];

/// The table of archived messages, for an archiver that moves them.
const ARCHIVE: &[&str] = &["\
CREATE TABLE IF NOT EXISTS {table} (
  seq           INTEGER PRIMARY KEY,
  message_id    TEXT    NOT NULL,
  topic         TEXT    NOT NULL,
  message_type  TEXT    NOT NULL,
  outstanding   INTEGER NOT NULL, -- 0 when the broker had it, 2 when it was dead
  attempts      INTEGER NOT NULL,
  deposited_at  INTEGER NOT NULL,
  dispatched_at INTEGER NOT NULL, -- says something only when the broker had it
  archived_at   INTEGER NOT NULL,
  last_error    TEXT,
  causation_id  TEXT,
  header        TEXT    NOT NULL, -- JSON
  body          BLOB    NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS {in}{name}_message_id ON {plain} (message_id);
"];

/// `ends_at` is the end of the claim, or the time when the request was handled.
const INBOX: &[&str] = &["\
CREATE TABLE IF NOT EXISTS {table} (
  seq         INTEGER PRIMARY KEY,
  message_id  TEXT    NOT NULL,
  context     TEXT    NOT NULL, -- who handles it
  fingerprint INTEGER,          -- of the body
  claim       INTEGER NOT NULL, -- whose it is
  done        INTEGER NOT NULL,
  ends_at     INTEGER NOT NULL,
  UNIQUE (message_id, context)
) STRICT;
CREATE INDEX IF NOT EXISTS {in}{name}_ends_at ON {plain} (ends_at);
"];

/// The schedules beside an outbox. A schedule whose `due_at` is null never becomes due.
const SCHEDULES: &[&str] = &["\
CREATE TABLE IF NOT EXISTS {table} (
  name       TEXT    NOT NULL PRIMARY KEY,
  program    TEXT,             -- whose code has it; null if it was added at run time
  expression TEXT    NOT NULL,
  zone       TEXT    NOT NULL,
  settings   TEXT    NOT NULL, -- JSON
  header     TEXT,             -- JSON, of the message to copy
  body       BLOB    NOT NULL,
  state      INTEGER NOT NULL, -- 0 when it is active, 1 when it is paused, 2 when the code has it no more
  next_at    INTEGER,          -- the next occurrence
  run_at     INTEGER,          -- a run that somebody asked for
  due_at     INTEGER,          -- when a sweeper takes it
  last_at    INTEGER,          -- the last occurrence
  last_id    TEXT,             -- its message
  version    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS {in}{name}_due
  ON {plain} (due_at)
  WHERE due_at IS NOT NULL;
"];
