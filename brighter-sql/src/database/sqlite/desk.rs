//! The tables of the desk in SQLite.

/// Times are milliseconds since 1970 by the clock of the database. Headers and bodies are in a table of their own, so that a
/// search reads none of them.
pub(super) const DESK: &[&str] = &["\
CREATE TABLE IF NOT EXISTS {table} (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  message_key TEXT NOT NULL UNIQUE, -- the message and where it was taken from
  message_id TEXT NOT NULL,
  topic TEXT NOT NULL,
  message_type TEXT NOT NULL,
  source TEXT NOT NULL, -- the channel from which it was taken
  channel TEXT NOT NULL, -- the channel that rejected it
  kind INTEGER NOT NULL, -- 0 for a dead letter, 1 for an invalid message
  handler TEXT NOT NULL,
  error_type TEXT NOT NULL,
  error TEXT NOT NULL,
  group_key INTEGER NOT NULL,
  attempts INTEGER,
  deaths INTEGER NOT NULL,
  died_at INTEGER NOT NULL, -- the last time
  state INTEGER NOT NULL, -- 0 waiting, 1 sending, 2 sent, 3 handled, 4 archived
  note TEXT, -- the comment of a person
  operation TEXT, -- the last one on it
  body_bytes INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS {in}{name}_state ON {plain} (state, seq);
CREATE INDEX IF NOT EXISTS {in}{name}_group_state ON {plain} (group_key, state, seq);
CREATE INDEX IF NOT EXISTS {in}{name}_message ON {plain} (message_id);
CREATE TABLE IF NOT EXISTS {in}{name}_contents (
  seq INTEGER PRIMARY KEY,
  header TEXT NOT NULL, -- JSON
  body BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS {in}{name}_deaths (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  entry INTEGER NOT NULL,
  death TEXT NOT NULL,
  died_at INTEGER NOT NULL,
  error TEXT NOT NULL,
  attempts INTEGER,
  UNIQUE (entry, death)
) STRICT;
CREATE TABLE IF NOT EXISTS {in}{name}_groups (
  group_key INTEGER PRIMARY KEY,
  channel TEXT NOT NULL,
  kind INTEGER NOT NULL,
  handler TEXT NOT NULL,
  error_type TEXT NOT NULL,
  pattern TEXT NOT NULL,
  waiting INTEGER NOT NULL,
  deaths INTEGER NOT NULL,
  first_at INTEGER NOT NULL,
  last_at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS {in}{name}_groups_waiting ON {name}_groups (waiting);
CREATE TABLE IF NOT EXISTS {in}{name}_hours (
  group_key INTEGER NOT NULL,
  hour INTEGER NOT NULL, -- since 1970
  deaths INTEGER NOT NULL,
  PRIMARY KEY (group_key, hour)
) STRICT;
CREATE TABLE IF NOT EXISTS {in}{name}_operations (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  plan TEXT NOT NULL, -- JSON
  state INTEGER NOT NULL, -- 0 running, 1 stopped, 2 done
  canary_passed INTEGER NOT NULL,
  outcome TEXT,
  begun_at INTEGER NOT NULL,
  ended_at INTEGER,
  claim INTEGER NOT NULL, -- whose it is
  claimed_until INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS {in}{name}_operations_state ON {name}_operations (state, seq);
CREATE TABLE IF NOT EXISTS {in}{name}_items (
  operation INTEGER NOT NULL,
  entry INTEGER NOT NULL,
  state INTEGER NOT NULL, -- 0 pending, 1 sending, 2 sent, 3 done, 4 came back, 5 failed, 6 skipped
  changed_at INTEGER NOT NULL,
  note TEXT,
  PRIMARY KEY (operation, entry)
) STRICT;
CREATE INDEX IF NOT EXISTS {in}{name}_items_state ON {name}_items (operation, state, entry);
CREATE TABLE IF NOT EXISTS {in}{name}_audit (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  operation INTEGER NOT NULL,
  at INTEGER NOT NULL,
  who TEXT NOT NULL,
  what TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS {in}{name}_audit_operation ON {name}_audit (operation, seq);
"];
