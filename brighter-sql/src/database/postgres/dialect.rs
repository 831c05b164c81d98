//! The dialect of PostgreSQL.

use crate::database::dialect::{ClaimStyle, Dialect, Placeholder, ScheduleDialect, SchemaDialect};

pub(super) const POSTGRES: Dialect = Dialect {
    placeholder: Placeholder::Dollar,
    keeps_statements: true,
    keeps_nul: false,
    now: "CAST(extract(epoch FROM statement_timestamp()) * 1000 AS bigint)",
    table_by_ids: "{table}",
    and_among_ids: " AND message_id = ANY (ARRAY(SELECT json_array_elements_text(CAST(?1 AS json))))",
    // Otherwise the planner also scans the index of the outstanding rows, if it estimates that there are few.
    outstanding: "outstanding + 0",
    if_new: " ON CONFLICT DO NOTHING",
    latest: "",
    by_outstanding: "",
    by_topic: "",
    and_not_among_topics: " AND topic <> ALL (ARRAY(SELECT json_array_elements_text(CAST(?4 AS json))))",
    delete_by_ids: "DELETE FROM {table} WHERE 1 = 1{and_among_ids}",
    take_key: "INSERT INTO {unique} AS held (unique_key, message_id, expires_at) VALUES (?1, ?2, {now} + ?3) \
        ON CONFLICT (unique_key) DO UPDATE SET message_id = excluded.message_id, expires_at = excluded.expires_at \
        WHERE held.expires_at <= {now}",
    // A key that is being taken anew is left alone.
    forget_keys: "DELETE FROM {unique} WHERE expires_at <= {now} AND unique_key = ANY (ARRAY(SELECT unique_key \
        FROM {unique} WHERE expires_at <= {now} ORDER BY expires_at LIMIT ?1 FOR UPDATE SKIP LOCKED))",
    for_update: " FOR UPDATE SKIP LOCKED",
    #[cfg(feature = "desk")]
    lock: " FOR UPDATE",
    #[cfg(feature = "desk")]
    contains: "strpos({column}, {value}) > 0",
    // Other processes skip claimed rows, and do not wait for them.
    claim_oldest: ClaimStyle::AtOnce(
        "WITH due AS MATERIALIZED (SELECT seq FROM {table} WHERE outstanding = 1 AND deposited_at <= {now} - ?2 \
         AND not_before <= {now} AND claimed_until <= {now}{and_topic} ORDER BY seq LIMIT ?3 FOR UPDATE SKIP LOCKED) \
         UPDATE {table} AS claimed SET claimed_until = {now} + ?1 FROM due WHERE claimed.seq = due.seq \
         RETURNING claimed.seq, message_id, header, body, attempts",
    ),
    claim_ids: ClaimStyle::AtOnce(
        "UPDATE {table} SET claimed_until = {now} + ?2 WHERE {outstanding} = 1 AND claimed_until <= {now}\
         {and_among_ids}{and_topic} RETURNING seq, message_id, header, body, attempts",
    ),
    begin_any: Some("BEGIN ISOLATION LEVEL READ COMMITTED"),
    // The planner's estimate of the outstanding rows is as old as the last ANALYZE. If the estimate is low, it sorts
    // all of them for each batch, rather than read the first ones by the index.
    begin_claim: Some(
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off",
    ),
    quote: "\"",
    folds_names: true,
    current_schema: "CAST(current_schema() AS text)",
    is_one_file: false,
    has_schema: "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = ?1",
    schema_of: Some(
        "SELECT CAST(nspname AS text) FROM pg_catalog.pg_class AS class \
         JOIN pg_catalog.pg_namespace AS schema ON schema.oid = class.relnamespace \
         WHERE class.oid = to_regclass(quote_ident(?1))",
    ),
    // Not from the information schema, which shows only what this user may access.
    columns: "SELECT CAST(attname AS text) FROM pg_catalog.pg_attribute AS attribute \
        JOIN pg_catalog.pg_class AS class ON class.oid = attribute.attrelid \
        JOIN pg_catalog.pg_namespace AS schema ON schema.oid = class.relnamespace \
        WHERE nspname = ?1 AND relname = ?2 AND attnum > 0 AND NOT attisdropped",
    note_version: "INSERT INTO {in}brighter_schema (name, version) VALUES (?1, ?2)\n  \
        ON CONFLICT (name) DO UPDATE SET version = excluded.version",
    schedules: ScheduleDialect {
        by_due: "",
        lock: "SELECT name, version FROM {table} \
            WHERE name = ANY (ARRAY(SELECT json_array_elements_text(CAST(?1 AS json)))) FOR UPDATE SKIP LOCKED",
        advance: "UPDATE {table} AS kept SET state = given.state, next_at = given.next_at, run_at = given.run_at, \
            due_at = given.due_at, last_at = given.last_at, last_id = given.last_id, version = kept.version + 1 \
            FROM json_to_recordset(CAST(?1 AS json)) AS given(name text, state bigint, next_at bigint, run_at bigint, \
            due_at bigint, last_at bigint, last_id text) WHERE kept.name = given.name",
    },
    schema: SchemaDialect {
        versions: VERSIONS,
        outbox: OUTBOX,
        archive: ARCHIVE,
        inbox: INBOX,
        schedules: SCHEDULES,
        #[cfg(feature = "desk")]
        desk: super::desk::DESK,
        // Held until the transaction ends. The number is random, and the same for every version.
        lock: Some(
            "SELECT CAST(1 AS bigint) FROM (SELECT pg_advisory_xact_lock(7209065218427388114)) AS locked",
        ),
        unlock: None,
        begin: "BEGIN;\n",
        commit: "COMMIT;\n",
    },
};

/// The versions of the tables in a database.
const VERSIONS: &str = "\
CREATE TABLE IF NOT EXISTS {in}brighter_schema (
  name    text   PRIMARY KEY,
  version bigint NOT NULL
);
";

/// Times are milliseconds since 1970 by the clock of the database. The columns that change are in no index. So
/// PostgreSQL updates a claimed row without changing its indexes, on the same page where there is room.
const OUTBOX: &[&str] = &[
    "\
CREATE TABLE IF NOT EXISTS {table} (
  seq           bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  message_id    text    NOT NULL UNIQUE,
  topic         text    NOT NULL,
  message_type  text    NOT NULL,
  outstanding   bigint  NOT NULL DEFAULT 1, -- 0 when the broker has it, 2 when it is dead
  attempts      bigint  NOT NULL DEFAULT 0, -- how often publishing it has failed
  deposited_at  bigint  NOT NULL,
  not_before    bigint  NOT NULL,           -- when it is due
  claimed_until bigint  NOT NULL,           -- nobody has it when this is past
  dispatched_at bigint  NOT NULL,           -- says something only when it is not outstanding
  last_error    text,
  causation_id  text,                       -- the message whose handling deposited it
  header        text    NOT NULL,           -- JSON
  body          bytea   NOT NULL
) WITH (fillfactor = 85);
CREATE INDEX IF NOT EXISTS {name}_outstanding
  ON {table} (seq) INCLUDE (deposited_at)
  WHERE outstanding = 1;
CREATE INDEX IF NOT EXISTS {name}_dead
  ON {table} (seq)
  WHERE outstanding = 2;
CREATE INDEX IF NOT EXISTS {name}_causation
  ON {table} (causation_id)
  WHERE causation_id IS NOT NULL;
",
    // Since version 2, topics are kept in order, old messages are removed, and sweepers are notified of every commit
    // with unclaimed messages.
    "\
CREATE INDEX IF NOT EXISTS {name}_topic
  ON {table} (topic, seq)
  WHERE outstanding = 1;
CREATE INDEX IF NOT EXISTS {name}_dispatched
  ON {table} (dispatched_at)
  WHERE outstanding = 0;
CREATE OR REPLACE FUNCTION {in}{name}_arrival() RETURNS trigger LANGUAGE plpgsql AS $arrival$
BEGIN
  IF EXISTS (SELECT 1 FROM stored WHERE claimed_until <= deposited_at) THEN
    PERFORM pg_notify(format('brighter_%s', TG_RELID), '');
  END IF;
  RETURN NULL;
END $arrival$;
DROP TRIGGER IF EXISTS {name}_arrival ON {table};
CREATE TRIGGER {name}_arrival AFTER INSERT ON {table}
  REFERENCING NEW TABLE AS stored FOR EACH STATEMENT EXECUTE FUNCTION {in}{name}_arrival();
",
    // Since version 3, `outstanding` may be 3: the message is scheduled.
    "\
CREATE INDEX IF NOT EXISTS {name}_scheduled
  ON {table} (not_before)
  WHERE outstanding = 3;
",
    // Since version 4, posts may be unique. A key is held until `expires_at`.
    "\
CREATE TABLE IF NOT EXISTS {unique} (
  unique_key text   PRIMARY KEY,
  message_id text   NOT NULL, -- whose it is
  expires_at bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS {name}_unique_expires_at ON {unique} (expires_at);
",
];

/// The table of archived messages, for an archiver that moves them.
const ARCHIVE: &[&str] = &["\
CREATE TABLE IF NOT EXISTS {table} (
  seq           bigint PRIMARY KEY,
  message_id    text   NOT NULL,
  topic         text   NOT NULL,
  message_type  text   NOT NULL,
  outstanding   bigint NOT NULL, -- 0 when the broker had it, 2 when it was dead
  attempts      bigint NOT NULL,
  deposited_at  bigint NOT NULL,
  dispatched_at bigint NOT NULL, -- says something only when the broker had it
  archived_at   bigint NOT NULL,
  last_error    text,
  causation_id  text,
  header        text   NOT NULL, -- JSON
  body          bytea  NOT NULL
);
CREATE INDEX IF NOT EXISTS {name}_message_id ON {table} (message_id);
"];

/// `ends_at` is the end of the claim, or the time when the request was handled.
const INBOX: &[&str] = &["\
CREATE TABLE IF NOT EXISTS {table} (
  seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  message_id  text   NOT NULL,
  context     text   NOT NULL, -- who handles it
  fingerprint bigint,          -- of the body
  claim       bigint NOT NULL, -- whose it is
  done        bigint NOT NULL,
  ends_at     bigint NOT NULL,
  UNIQUE (message_id, context)
);
CREATE INDEX IF NOT EXISTS {name}_ends_at ON {table} (ends_at);
"];

/// The schedules beside an outbox. A schedule whose `due_at` is null never becomes due.
const SCHEDULES: &[&str] = &["\
CREATE TABLE IF NOT EXISTS {table} (
  name       text   PRIMARY KEY,
  program    text,            -- whose code has it; null if it was added at run time
  expression text   NOT NULL,
  zone       text   NOT NULL,
  settings   text   NOT NULL, -- JSON
  header     text,            -- JSON, of the message to copy
  body       bytea  NOT NULL,
  state      bigint NOT NULL, -- 0 when it is active, 1 when it is paused, 2 when the code has it no more
  next_at    bigint,          -- the next occurrence
  run_at     bigint,          -- a run that somebody asked for
  due_at     bigint,          -- when a sweeper takes it
  last_at    bigint,          -- the last occurrence
  last_id    text,            -- its message
  version    bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS {name}_due
  ON {table} (due_at)
  WHERE due_at IS NOT NULL;
"];
