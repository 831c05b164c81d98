BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS brighter_schema (
  name    TEXT PRIMARY KEY,
  version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS "brighter_outbox" (
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
CREATE INDEX IF NOT EXISTS brighter_outbox_outstanding
  ON "brighter_outbox" (seq, deposited_at, not_before, claimed_until)
  WHERE outstanding = 1;
CREATE INDEX IF NOT EXISTS brighter_outbox_causation
  ON "brighter_outbox" (causation_id)
  WHERE causation_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS brighter_outbox_dead
  ON "brighter_outbox" (seq)
  WHERE outstanding = 2;
CREATE INDEX IF NOT EXISTS brighter_outbox_topic
  ON "brighter_outbox" (topic, seq)
  WHERE outstanding = 1;
CREATE INDEX IF NOT EXISTS brighter_outbox_dispatched
  ON "brighter_outbox" (dispatched_at)
  WHERE outstanding = 0;
CREATE INDEX IF NOT EXISTS brighter_outbox_scheduled
  ON "brighter_outbox" (not_before)
  WHERE outstanding = 3;
CREATE TABLE IF NOT EXISTS "brighter_outbox_unique" (
  unique_key TEXT    PRIMARY KEY,
  message_id TEXT    NOT NULL, -- whose it is
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS brighter_outbox_unique_expires_at ON "brighter_outbox_unique" (expires_at);
INSERT INTO brighter_schema (name, version) VALUES ('outbox', 5)
  ON CONFLICT (name) DO UPDATE SET version = excluded.version;
COMMIT;

BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS brighter_schema (
  name    TEXT PRIMARY KEY,
  version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS "brighter_inbox" (
  seq         INTEGER PRIMARY KEY,
  message_id  TEXT    NOT NULL,
  context     TEXT    NOT NULL, -- who handles it
  fingerprint INTEGER,          -- of the body
  claim       INTEGER NOT NULL, -- whose it is
  done        INTEGER NOT NULL,
  ends_at     INTEGER NOT NULL,
  UNIQUE (message_id, context)
) STRICT;
CREATE INDEX IF NOT EXISTS brighter_inbox_ends_at ON "brighter_inbox" (ends_at);
INSERT INTO brighter_schema (name, version) VALUES ('inbox', 1)
  ON CONFLICT (name) DO UPDATE SET version = excluded.version;
COMMIT;
