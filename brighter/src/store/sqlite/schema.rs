//! The tables, and how those of an older version become those of today.

use sqlx::SqliteConnection;

use super::database::Database;
use super::error::outbox_error;
use crate::outbox::OutboxError;

/// Which version of which tables a database has.
const VERSIONS: &str = "\
CREATE TABLE IF NOT EXISTS brighter_schema (
  name    TEXT PRIMARY KEY,
  version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// The tables of one part of brighter: what to do for version 1, for version 2, …
///
/// A step that was released is never changed; what changes is a new step.
pub(super) struct Schema {
    name: &'static str,
    steps: &'static [&'static str],
}

/// Times are milliseconds since 1970 by the clock of the database. All are there from the start, as the time
/// of the deposit, and whether a message is outstanding is a flag: so a row has the same length before and
/// after it is claimed and dispatched, and SQLite writes over those bytes in place. A row that grew would be
/// written anew, its body and all, and could find the disk full.
///
/// The columns after `seq` in the index let it answer who is due without a look at the table.
pub(super) const OUTBOX: Schema = Schema {
    name: "outbox",
    steps: &["\
CREATE TABLE IF NOT EXISTS brighter_outbox (
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
  ON brighter_outbox (seq, deposited_at, not_before, claimed_until)
  WHERE outstanding = 1;
CREATE INDEX IF NOT EXISTS brighter_outbox_causation
  ON brighter_outbox (causation_id)
  WHERE causation_id IS NOT NULL;
"],
};

impl Schema {
    fn newest(&self) -> i64 {
        self.steps.len() as i64
    }

    /// Brings the tables of the database up to date. Several processes may do so at once: one of them does
    /// the work, and the others wait and find it done.
    pub(super) async fn apply(&self, database: &Database) -> Result<(), OutboxError> {
        let mut writer = database.writer().await?;
        // A database that is up to date is only read, so that it opens when it may not be written.
        if self.steps_missing(writer.connection()).await?.is_empty() {
            return Ok(());
        }
        let mut tx = writer.begin().await?;
        for step in self.steps_missing(&mut tx).await? {
            sqlx::raw_sql(*step)
                .execute(&mut *tx)
                .await
                .map_err(outbox_error)?;
        }
        sqlx::raw_sql(VERSIONS)
            .execute(&mut *tx)
            .await
            .map_err(outbox_error)?;
        sqlx::query(
            "INSERT INTO brighter_schema (name, version) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET version = excluded.version",
        )
        .bind(self.name)
        .bind(self.newest())
        .execute(&mut *tx)
        .await
        .map_err(outbox_error)?;
        tx.commit().await.map_err(outbox_error)
    }

    async fn steps_missing(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<&'static [&'static str], OutboxError> {
        let found = self.found(connection).await.map_err(outbox_error)?;
        let known = self.newest();
        usize::try_from(found)
            .ok()
            .and_then(|done| self.steps.get(done..))
            .ok_or(OutboxError::NewerSchema { found, known })
    }

    async fn found(&self, connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
        let any: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'brighter_schema'",
        )
        .fetch_one(&mut *connection)
        .await?;
        if any == 0 {
            return Ok(0);
        }
        let version = sqlx::query_scalar("SELECT version FROM brighter_schema WHERE name = ?1")
            .bind(self.name)
            .fetch_optional(connection)
            .await?;
        Ok(version.unwrap_or(0))
    }

    /// All of it as text.
    pub(super) fn ddl(&self) -> String {
        let Self { name, steps } = self;
        let (steps, newest) = (steps.concat(), self.newest());
        format!(
            "BEGIN IMMEDIATE;\n{VERSIONS}{steps}\
             INSERT INTO brighter_schema (name, version) VALUES ('{name}', {newest})\n  \
             ON CONFLICT (name) DO UPDATE SET version = excluded.version;\nCOMMIT;\n"
        )
    }
}
