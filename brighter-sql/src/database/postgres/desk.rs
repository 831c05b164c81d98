//! The tables of the desk in PostgreSQL.

/// Times are milliseconds since 1970 by the clock of the database. Headers and bodies are in a table of their own, so that a
/// search reads none of them.
pub(super) const DESK: &[&str] = &["\
CREATE TABLE IF NOT EXISTS {table} (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  message_key text NOT NULL UNIQUE, -- the message and where it was taken from
  message_id text NOT NULL,
  topic text NOT NULL,
  message_type text NOT NULL,
  source text NOT NULL, -- the channel from which it was taken
  channel text NOT NULL, -- the channel that rejected it
  kind bigint NOT NULL, -- 0 for a dead letter, 1 for an invalid message
  handler text NOT NULL,
  error_type text NOT NULL,
  error text NOT NULL,
  group_key bigint NOT NULL,
  attempts bigint,
  deaths bigint NOT NULL,
  died_at bigint NOT NULL, -- the last time
  state bigint NOT NULL, -- 0 waiting, 1 sending, 2 sent, 3 handled, 4 archived
  note text, -- the comment of a person
  operation text, -- the last one on it
  body_bytes bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS {name}_state ON {table} (state, seq);
CREATE INDEX IF NOT EXISTS {name}_group_state ON {table} (group_key, state, seq);
CREATE INDEX IF NOT EXISTS {name}_message ON {table} (message_id);
CREATE TABLE IF NOT EXISTS {in}{name}_contents (
  seq bigint PRIMARY KEY,
  header text NOT NULL, -- JSON
  body bytea NOT NULL
);
CREATE TABLE IF NOT EXISTS {in}{name}_deaths (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  entry bigint NOT NULL,
  death text NOT NULL,
  died_at bigint NOT NULL,
  error text NOT NULL,
  attempts bigint,
  UNIQUE (entry, death)
);
CREATE TABLE IF NOT EXISTS {in}{name}_groups (
  group_key bigint PRIMARY KEY,
  channel text NOT NULL,
  kind bigint NOT NULL,
  handler text NOT NULL,
  error_type text NOT NULL,
  pattern text NOT NULL,
  waiting bigint NOT NULL,
  deaths bigint NOT NULL,
  first_at bigint NOT NULL,
  last_at bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS {name}_groups_waiting ON {in}{name}_groups (waiting);
CREATE TABLE IF NOT EXISTS {in}{name}_hours (
  group_key bigint NOT NULL,
  hour bigint NOT NULL, -- since 1970
  deaths bigint NOT NULL,
  PRIMARY KEY (group_key, hour)
);
CREATE TABLE IF NOT EXISTS {in}{name}_operations (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text NOT NULL UNIQUE,
  plan text NOT NULL, -- JSON
  state bigint NOT NULL, -- 0 running, 1 stopped, 2 done
  canary_passed bigint NOT NULL,
  outcome text,
  begun_at bigint NOT NULL,
  ended_at bigint,
  claim bigint NOT NULL, -- whose it is
  claimed_until bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS {name}_operations_state ON {in}{name}_operations (state, seq);
CREATE TABLE IF NOT EXISTS {in}{name}_items (
  operation bigint NOT NULL,
  entry bigint NOT NULL,
  state bigint NOT NULL, -- 0 pending, 1 sending, 2 sent, 3 done, 4 came back, 5 failed, 6 skipped
  changed_at bigint NOT NULL,
  note text,
  PRIMARY KEY (operation, entry)
);
CREATE INDEX IF NOT EXISTS {name}_items_state ON {in}{name}_items (operation, state, entry);
CREATE TABLE IF NOT EXISTS {in}{name}_audit (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  operation bigint NOT NULL,
  at bigint NOT NULL,
  who text NOT NULL,
  what text NOT NULL
);
CREATE INDEX IF NOT EXISTS {name}_audit_operation ON {in}{name}_audit (operation, seq);
"];
