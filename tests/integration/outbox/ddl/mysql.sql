CREATE TABLE IF NOT EXISTS brighter_schema (
  name    VARCHAR(100) NOT NULL PRIMARY KEY,
  version BIGINT       NOT NULL
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS `brighter_outbox` (
  seq           BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
  message_id    VARCHAR(700) NOT NULL,
  topic         VARCHAR(700) NOT NULL,
  message_type  VARCHAR(50)  NOT NULL,
  outstanding   BIGINT       NOT NULL DEFAULT 1, -- 0 when the broker has it, 2 when it is dead
  attempts      BIGINT       NOT NULL DEFAULT 0, -- how often publishing it has failed
  deposited_at  BIGINT       NOT NULL,
  not_before    BIGINT       NOT NULL,           -- when it is due
  claimed_until BIGINT       NOT NULL,           -- nobody has it when this is past
  dispatched_at BIGINT       NOT NULL,           -- says something only when it is not outstanding
  last_error    TEXT,
  causation_id  VARCHAR(700),                    -- the message whose handling deposited it
  header        LONGTEXT     NOT NULL,           -- JSON
  body          LONGBLOB     NOT NULL,
  UNIQUE INDEX brighter_outbox_message_id (message_id),
  INDEX brighter_outbox_outstanding (outstanding, seq),
  INDEX brighter_outbox_causation (causation_id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
SET @step = IF((SELECT count(*) FROM information_schema.statistics WHERE table_schema = DATABASE()
  AND table_name = 'brighter_outbox' AND index_name = 'brighter_outbox_topic') = 0,
  'CREATE INDEX brighter_outbox_topic ON `brighter_outbox` (outstanding, topic, seq)', 'DO 0');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;
SET @step = IF((SELECT count(*) FROM information_schema.statistics WHERE table_schema = DATABASE()
  AND table_name = 'brighter_outbox' AND index_name = 'brighter_outbox_dispatched') = 0,
  'CREATE INDEX brighter_outbox_dispatched ON `brighter_outbox` (outstanding, dispatched_at)', 'DO 0');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;
SET @step = IF((SELECT count(*) FROM information_schema.statistics WHERE table_schema = DATABASE()
  AND table_name = 'brighter_outbox' AND index_name = 'brighter_outbox_scheduled') = 0,
  'CREATE INDEX brighter_outbox_scheduled ON `brighter_outbox` (outstanding, not_before)', 'DO 0');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;
CREATE TABLE IF NOT EXISTS `brighter_outbox_unique` (
  unique_key VARBINARY(1500) NOT NULL PRIMARY KEY,
  message_id VARCHAR(700)    NOT NULL, -- whose it is
  expires_at BIGINT          NOT NULL,
  INDEX brighter_outbox_unique_expires_at (expires_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
INSERT INTO brighter_schema (name, version) VALUES ('outbox', 4)
  ON DUPLICATE KEY UPDATE version = VALUES(version);

CREATE TABLE IF NOT EXISTS brighter_schema (
  name    VARCHAR(100) NOT NULL PRIMARY KEY,
  version BIGINT       NOT NULL
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS `brighter_inbox` (
  seq         BIGINT          NOT NULL AUTO_INCREMENT PRIMARY KEY,
  message_id  VARBINARY(1500) NOT NULL,
  context     VARBINARY(1500) NOT NULL, -- who handles it
  fingerprint BIGINT,                   -- of the body
  claim       BIGINT          NOT NULL, -- whose it is
  done        BIGINT          NOT NULL,
  ends_at     BIGINT          NOT NULL,
  UNIQUE INDEX brighter_inbox_key (message_id, context),
  INDEX brighter_inbox_ends_at (ends_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
INSERT INTO brighter_schema (name, version) VALUES ('inbox', 1)
  ON DUPLICATE KEY UPDATE version = VALUES(version);
