//! The tables of the broker.

use crate::database::schema::Schema;
use crate::database::table_ref::TableRef;

/// Returns the tables in all their versions.
pub(super) fn schema() -> Schema {
    let name = "brighter_broker";
    Schema::new(
        "broker",
        [name; 2],
        TableRef::bare(name),
        &["one", "topology"],
        STEPS,
    )
}

/// Times are milliseconds since 1970 by the clock of the machine.
///
/// Each copy of a message is a row of its own, whose number is its position in the channel. The consumer that holds a
/// message is in another table, so that taking and returning a message does not copy its body.
const STEPS: &[&str] = &[
    "\
CREATE TABLE IF NOT EXISTS {table} (
  one      INTEGER PRIMARY KEY CHECK (one = 1),
  topology INTEGER NOT NULL -- counts the changes of channels and bindings
) STRICT;
INSERT OR IGNORE INTO {table} (one, topology) VALUES (1, 0);
CREATE TABLE IF NOT EXISTS {table}_channels (
  id              INTEGER PRIMARY KEY,
  name            TEXT    NOT NULL UNIQUE,
  declared        INTEGER NOT NULL, -- 0: it is only beside another so far
  dead_letters    TEXT,
  time_to_live    INTEGER,          -- in milliseconds
  length          INTEGER,
  overflow        INTEGER NOT NULL DEFAULT 0, -- 0: refuse the newest, 1: set the oldest aside
  deliveries      INTEGER,
  single_active   INTEGER NOT NULL DEFAULT 0,
  active_session  INTEGER,          -- who gets messages, where only one does
  active_consumer INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS {table}_bindings (
  channel     INTEGER NOT NULL,
  routing_key TEXT    NOT NULL,
  PRIMARY KEY (channel, routing_key)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS {table}_sessions (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  alive_until INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS {table}_messages (
  seq          INTEGER PRIMARY KEY AUTOINCREMENT,
  channel      INTEGER NOT NULL,
  redeliveries INTEGER NOT NULL DEFAULT 0,
  expires      INTEGER,
  header       TEXT    NOT NULL, -- JSON
  body         BLOB    NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS {table}_by_channel ON {table}_messages (channel);
CREATE INDEX IF NOT EXISTS {table}_by_expiry ON {table}_messages (expires) WHERE expires IS NOT NULL;
CREATE TABLE IF NOT EXISTS {table}_held (
  seq     INTEGER PRIMARY KEY,
  session INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS {table}_delayed (
  seq     INTEGER PRIMARY KEY AUTOINCREMENT,
  channel INTEGER NOT NULL,
  due     INTEGER NOT NULL,
  header  TEXT    NOT NULL,
  body    BLOB    NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS {table}_by_due ON {table}_delayed (due);
",
    // Since version 2, a channel may belong to one session.
    "\
CREATE TABLE IF NOT EXISTS {table}_temporary (
  channel INTEGER PRIMARY KEY,
  session INTEGER NOT NULL
) STRICT;
",
    // Since version 3, a channel may have priorities. A message has priority 0 in a channel without them.
    "\
ALTER TABLE {table}_channels ADD COLUMN priorities INTEGER;
ALTER TABLE {table}_messages ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE {table}_delayed ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
CREATE INDEX IF NOT EXISTS {table}_by_priority ON {table}_messages (channel, priority DESC);
DROP INDEX IF EXISTS {table}_by_channel;
",
];
