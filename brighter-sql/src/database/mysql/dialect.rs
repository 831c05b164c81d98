//! The dialect that MySQL and MariaDB share.

use crate::database::dialect::{ClaimStyle, Dialect, Placeholder, ScheduleDialect, SchemaDialect};

pub(super) const MYSQL: Dialect = Dialect {
    placeholder: Placeholder::Unnumbered,
    keeps_statements: true,
    keeps_nul: true,
    // In UTC, because a local time occurs twice when the clocks are put back.
    now: "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)",
    // Joined, because no index is used for a subquery in an update; and with a fixed index, because a table scan waits
    // for every row that another transaction has locked.
    table_by_ids: "JSON_TABLE(?1, '$[*]' COLUMNS (id VARCHAR(700) CHARACTER SET utf8mb4 PATH '$')) AS wanted \
        STRAIGHT_JOIN {table} FORCE INDEX ({name}_message_id) ON message_id = wanted.id COLLATE utf8mb4_bin",
    and_among_ids: "",
    outstanding: "outstanding",
    // `ON DUPLICATE KEY` does not report whether the row existed, and `IGNORE` would hide other mistakes too.
    if_new: "",
    latest: " LOCK IN SHARE MODE",
    // Otherwise the planner scans the table in the order of its key, past every dispatched message, or the outstanding
    // messages of all topics.
    by_outstanding: " FORCE INDEX ({name}_outstanding)",
    by_topic: " FORCE INDEX ({name}_topic)",
    and_not_among_topics: " AND topic NOT IN (SELECT excepted.topic COLLATE utf8mb4_bin FROM \
        JSON_TABLE(?4, '$[*]' COLUMNS (topic VARCHAR(700) CHARACTER SET utf8mb4 PATH '$')) AS excepted)",
    delete_by_ids: "DELETE {table} FROM {table_by_ids} WHERE 1 = 1",
    // The assignments are made from left to right, so the second still sees the old time.
    take_key: "INSERT INTO {unique} (unique_key, message_id, expires_at) VALUES (?1, ?2, {now} + ?3) \
        ON DUPLICATE KEY UPDATE message_id = IF(expires_at <= {now}, VALUES(message_id), message_id), \
        expires_at = IF(expires_at <= {now}, VALUES(expires_at), expires_at)",
    forget_keys: "DELETE FROM {unique} WHERE expires_at <= {now} ORDER BY expires_at LIMIT ?1",
    for_update: " FOR UPDATE SKIP LOCKED",
    #[cfg(feature = "desk")]
    lock: " FOR UPDATE",
    #[cfg(feature = "desk")]
    contains: "locate({value}, {column}) > 0",
    claim_oldest: ClaimStyle::LockFirst(
        "SELECT seq, message_id, header, body, attempts FROM {table}{by_index} WHERE outstanding = 1 \
         AND deposited_at <= {now} - ?2 AND not_before <= {now} AND claimed_until <= {now}\
         {and_topic} ORDER BY seq LIMIT ?3 FOR UPDATE SKIP LOCKED",
    ),
    claim_ids: ClaimStyle::LockFirst(
        "SELECT seq, message_id, header, body, attempts FROM {table_by_ids} WHERE outstanding = 1 \
         AND claimed_until <= {now}{and_topic} FOR UPDATE SKIP LOCKED",
    ),
    // With a statement-based log, MySQL allows only its own isolation level.
    begin_any: None,
    // Otherwise the end of the index is locked too, and deposits have to wait.
    begin_claim: Some("SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION"),
    quote: "`",
    folds_names: false,
    current_schema: "DATABASE()",
    is_one_file: false,
    has_schema: "SELECT 1 FROM information_schema.schemata WHERE schema_name = ?1",
    schema_of: None,
    columns: "SELECT CAST(column_name AS CHAR) FROM information_schema.columns \
        WHERE table_schema = ?1 AND table_name = ?2",
    note_version: "INSERT INTO {in}brighter_schema (name, version) VALUES (?1, ?2)\n  \
        ON DUPLICATE KEY UPDATE version = VALUES(version)",
    schedules: ScheduleDialect {
        by_due: " FORCE INDEX ({name}_due)",
        lock: "SELECT name, version FROM JSON_TABLE(?1, '$[*]' COLUMNS (wanted VARCHAR(200) CHARACTER SET utf8mb4 PATH '$')) \
            AS given STRAIGHT_JOIN {table} FORCE INDEX (PRIMARY) ON name = given.wanted COLLATE utf8mb4_bin \
            FOR UPDATE SKIP LOCKED",
        advance: "UPDATE JSON_TABLE(?1, '$[*]' COLUMNS (name VARCHAR(200) CHARACTER SET utf8mb4 PATH '$.name', \
            state BIGINT PATH '$.state', next_at BIGINT PATH '$.next_at', run_at BIGINT PATH '$.run_at', \
            due_at BIGINT PATH '$.due_at', last_at BIGINT PATH '$.last_at', \
            last_id VARCHAR(700) CHARACTER SET utf8mb4 PATH '$.last_id')) AS given \
            STRAIGHT_JOIN {table} AS kept FORCE INDEX (PRIMARY) ON kept.name = given.name COLLATE utf8mb4_bin \
            SET kept.state = given.state, kept.next_at = given.next_at, kept.run_at = given.run_at, \
            kept.due_at = given.due_at, kept.last_at = given.last_at, kept.last_id = given.last_id, \
            kept.version = kept.version + 1",
    },
    schema: SchemaDialect {
        versions: VERSIONS,
        outbox: OUTBOX,
        archive: ARCHIVE,
        inbox: INBOX,
        schedules: SCHEDULES,
        #[cfg(feature = "desk")]
        desk: super::desk::DESK,
        // MySQL creates no tables within a transaction.
        lock: Some("SELECT CAST(GET_LOCK(CONCAT('brighter.', LEFT(MD5({schema}), 32)), 20) AS SIGNED)"),
        unlock: Some("SELECT CAST(RELEASE_LOCK(CONCAT('brighter.', LEFT(MD5({schema}), 32))) AS SIGNED)"),
        begin: "",
        commit: "",
    },
};

/// The versions of the tables in a database.
const VERSIONS: &str = "\
CREATE TABLE IF NOT EXISTS {in}brighter_schema (
  name    VARCHAR(100) NOT NULL PRIMARY KEY,
  version BIGINT       NOT NULL
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
";

/// Times are milliseconds since 1970 by the clock of the database.
const OUTBOX: &[&str] = &[
    "\
CREATE TABLE IF NOT EXISTS {table} (
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
  UNIQUE INDEX {name}_message_id (message_id),
  INDEX {name}_outstanding (outstanding, seq),
  INDEX {name}_causation (causation_id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
",
    // Since version 2, topics are kept in order and old messages are removed. MySQL has no `CREATE INDEX IF NOT
    // EXISTS`, and a process may have died after the first statement.
    "\
SET @step = IF((SELECT count(*) FROM information_schema.statistics WHERE table_schema = {schema}
  AND table_name = '{name}' AND index_name = '{name}_topic') = 0,
  'CREATE INDEX {name}_topic ON {table} (outstanding, topic, seq)', 'DO 0');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;
SET @step = IF((SELECT count(*) FROM information_schema.statistics WHERE table_schema = {schema}
  AND table_name = '{name}' AND index_name = '{name}_dispatched') = 0,
  'CREATE INDEX {name}_dispatched ON {table} (outstanding, dispatched_at)', 'DO 0');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;
",
    // Since version 3, `outstanding` may be 3: the message is scheduled.
    "\
SET @step = IF((SELECT count(*) FROM information_schema.statistics WHERE table_schema = {schema}
  AND table_name = '{name}' AND index_name = '{name}_scheduled') = 0,
  'CREATE INDEX {name}_scheduled ON {table} (outstanding, not_before)', 'DO 0');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;
",
    // Since version 4, posts may be unique. A key is held until `expires_at`. The key is stored as bytes, because MySQL
    // ignores trailing spaces when it compares texts.
    "\
CREATE TABLE IF NOT EXISTS {unique} (
  unique_key VARBINARY(1500) NOT NULL PRIMARY KEY,
  message_id VARCHAR(700)    NOT NULL, -- whose it is
  expires_at BIGINT          NOT NULL,
  INDEX {name}_unique_expires_at (expires_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
",
];

/// The table of archived messages, for an archiver that moves them.
const ARCHIVE: &[&str] = &["\
CREATE TABLE IF NOT EXISTS {table} (
  seq           BIGINT       NOT NULL PRIMARY KEY,
  message_id    VARCHAR(700) NOT NULL,
  topic         VARCHAR(700) NOT NULL,
  message_type  VARCHAR(50)  NOT NULL,
  outstanding   BIGINT       NOT NULL, -- 0 when the broker had it, 2 when it was dead
  attempts      BIGINT       NOT NULL,
  deposited_at  BIGINT       NOT NULL,
  dispatched_at BIGINT       NOT NULL, -- says something only when the broker had it
  archived_at   BIGINT       NOT NULL,
  last_error    TEXT,
  causation_id  VARCHAR(700),
  header        LONGTEXT     NOT NULL, -- JSON
  body          LONGBLOB     NOT NULL,
  INDEX {name}_message_id (message_id)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
"];

/// `ends_at` is the end of the claim, or the time when the request was handled. The texts are stored as bytes, because
/// MySQL ignores trailing spaces when it compares texts.
const INBOX: &[&str] = &["\
CREATE TABLE IF NOT EXISTS {table} (
  seq         BIGINT          NOT NULL AUTO_INCREMENT PRIMARY KEY,
  message_id  VARBINARY(1500) NOT NULL,
  context     VARBINARY(1500) NOT NULL, -- who handles it
  fingerprint BIGINT,                   -- of the body
  claim       BIGINT          NOT NULL, -- whose it is
  done        BIGINT          NOT NULL,
  ends_at     BIGINT          NOT NULL,
  UNIQUE INDEX {name}_key (message_id, context),
  INDEX {name}_ends_at (ends_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
"];

/// The schedules beside an outbox. A schedule whose `due_at` is null never becomes due.
const SCHEDULES: &[&str] = &["\
CREATE TABLE IF NOT EXISTS {table} (
  name       VARCHAR(200) NOT NULL PRIMARY KEY,
  program    VARCHAR(200),          -- whose code has it; null if it was added at run time
  expression VARCHAR(700) NOT NULL,
  zone       VARCHAR(200) NOT NULL,
  settings   TEXT         NOT NULL, -- JSON
  header     LONGTEXT,              -- JSON, of the message to copy
  body       LONGBLOB     NOT NULL,
  state      BIGINT       NOT NULL, -- 0 when it is active, 1 when it is paused, 2 when the code has it no more
  next_at    BIGINT,                -- the next occurrence
  run_at     BIGINT,                -- a run that somebody asked for
  due_at     BIGINT,                -- when a sweeper takes it
  last_at    BIGINT,                -- the last occurrence
  last_id    VARCHAR(700),          -- its message
  version    BIGINT       NOT NULL,
  INDEX {name}_due (due_at)
) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
"];
