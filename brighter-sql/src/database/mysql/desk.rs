//! The tables of the desk in MySQL and MariaDB.

/// Times are milliseconds since 1970 by the clock of the database. Headers and bodies are in a table of their own, so that a
/// search reads none of them.
pub(super) const DESK: &[&str] = &["\
CREATE TABLE IF NOT EXISTS {table} (
  seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  message_key VARCHAR(64) NOT NULL UNIQUE, -- the message and where it was taken from
  message_id VARCHAR(700) NOT NULL,
  topic VARCHAR(700) NOT NULL,
  message_type VARCHAR(700) NOT NULL,
  source VARCHAR(700) NOT NULL, -- the channel from which it was taken
  channel VARCHAR(700) NOT NULL, -- the channel that rejected it
  kind BIGINT NOT NULL, -- 0 for a dead letter, 1 for an invalid message
  handler VARCHAR(700) NOT NULL,
  error_type VARCHAR(700) NOT NULL,
  error TEXT NOT NULL,
  group_key BIGINT NOT NULL,
  attempts BIGINT,
  deaths BIGINT NOT NULL,
  died_at BIGINT NOT NULL, -- the last time
  state BIGINT NOT NULL, -- 0 waiting, 1 sending, 2 sent, 3 handled, 4 archived
  note TEXT, -- the comment of a person
  operation VARCHAR(64), -- the last one on it
  body_bytes BIGINT NOT NULL,
  INDEX {name}_state (state, seq),
  INDEX {name}_group_state (group_key, state, seq),
  INDEX {name}_message (message_id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS {in}{name}_contents (
  seq BIGINT NOT NULL PRIMARY KEY,
  header LONGTEXT NOT NULL, -- JSON
  body LONGBLOB NOT NULL
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS {in}{name}_deaths (
  seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  entry BIGINT NOT NULL,
  death VARCHAR(64) NOT NULL,
  died_at BIGINT NOT NULL,
  error TEXT NOT NULL,
  attempts BIGINT,
  UNIQUE (entry, death)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS {in}{name}_groups (
  group_key BIGINT NOT NULL PRIMARY KEY,
  channel VARCHAR(700) NOT NULL,
  kind BIGINT NOT NULL,
  handler VARCHAR(700) NOT NULL,
  error_type VARCHAR(700) NOT NULL,
  pattern TEXT NOT NULL,
  waiting BIGINT NOT NULL,
  deaths BIGINT NOT NULL,
  first_at BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  INDEX {name}_groups_waiting (waiting)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS {in}{name}_hours (
  group_key BIGINT NOT NULL,
  hour BIGINT NOT NULL, -- since 1970
  deaths BIGINT NOT NULL,
  PRIMARY KEY (group_key, hour)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS {in}{name}_operations (
  seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  id VARCHAR(64) NOT NULL UNIQUE,
  plan LONGTEXT NOT NULL, -- JSON
  state BIGINT NOT NULL, -- 0 running, 1 stopped, 2 done
  canary_passed BIGINT NOT NULL,
  outcome TEXT,
  begun_at BIGINT NOT NULL,
  ended_at BIGINT,
  claim BIGINT NOT NULL, -- whose it is
  claimed_until BIGINT NOT NULL,
  INDEX {name}_operations_state (state, seq)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS {in}{name}_items (
  operation BIGINT NOT NULL,
  entry BIGINT NOT NULL,
  state BIGINT NOT NULL, -- 0 pending, 1 sending, 2 sent, 3 done, 4 came back, 5 failed, 6 skipped
  changed_at BIGINT NOT NULL,
  note TEXT,
  PRIMARY KEY (operation, entry),
  INDEX {name}_items_state (operation, state, entry)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS {in}{name}_audit (
  seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  operation BIGINT NOT NULL,
  at BIGINT NOT NULL,
  who TEXT NOT NULL,
  what TEXT NOT NULL,
  INDEX {name}_audit_operation (operation, seq)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
"];
