BEGIN;
CREATE TABLE IF NOT EXISTS brighter_schema (
  name    text   PRIMARY KEY,
  version bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS "brighter_outbox" (
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
CREATE INDEX IF NOT EXISTS brighter_outbox_outstanding
  ON "brighter_outbox" (seq) INCLUDE (deposited_at)
  WHERE outstanding = 1;
CREATE INDEX IF NOT EXISTS brighter_outbox_dead
  ON "brighter_outbox" (seq)
  WHERE outstanding = 2;
CREATE INDEX IF NOT EXISTS brighter_outbox_causation
  ON "brighter_outbox" (causation_id)
  WHERE causation_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS brighter_outbox_topic
  ON "brighter_outbox" (topic, seq)
  WHERE outstanding = 1;
CREATE INDEX IF NOT EXISTS brighter_outbox_dispatched
  ON "brighter_outbox" (dispatched_at)
  WHERE outstanding = 0;
CREATE OR REPLACE FUNCTION brighter_outbox_arrival() RETURNS trigger LANGUAGE plpgsql AS $arrival$
BEGIN
  IF EXISTS (SELECT 1 FROM stored WHERE claimed_until <= deposited_at) THEN
    PERFORM pg_notify(format('brighter_%s', TG_RELID), '');
  END IF;
  RETURN NULL;
END $arrival$;
DROP TRIGGER IF EXISTS brighter_outbox_arrival ON "brighter_outbox";
CREATE TRIGGER brighter_outbox_arrival AFTER INSERT ON "brighter_outbox"
  REFERENCING NEW TABLE AS stored FOR EACH STATEMENT EXECUTE FUNCTION brighter_outbox_arrival();
CREATE INDEX IF NOT EXISTS brighter_outbox_scheduled
  ON "brighter_outbox" (not_before)
  WHERE outstanding = 3;
CREATE TABLE IF NOT EXISTS "brighter_outbox_unique" (
  unique_key text   PRIMARY KEY,
  message_id text   NOT NULL, -- whose it is
  expires_at bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS brighter_outbox_unique_expires_at ON "brighter_outbox_unique" (expires_at);
INSERT INTO brighter_schema (name, version) VALUES ('outbox', 4)
  ON CONFLICT (name) DO UPDATE SET version = excluded.version;
COMMIT;

BEGIN;
CREATE TABLE IF NOT EXISTS brighter_schema (
  name    text   PRIMARY KEY,
  version bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS "brighter_inbox" (
  seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  message_id  text   NOT NULL,
  context     text   NOT NULL, -- who handles it
  fingerprint bigint,          -- of the body
  claim       bigint NOT NULL, -- whose it is
  done        bigint NOT NULL,
  ends_at     bigint NOT NULL,
  UNIQUE (message_id, context)
);
CREATE INDEX IF NOT EXISTS brighter_inbox_ends_at ON "brighter_inbox" (ends_at);
INSERT INTO brighter_schema (name, version) VALUES ('inbox', 1)
  ON CONFLICT (name) DO UPDATE SET version = excluded.version;
COMMIT;
