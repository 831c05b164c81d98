//! [`SqliteOutbox`]: an outbox in SQLite.

use std::path::Path;

use sqlx::{Sqlite, SqlitePool};

use crate::database::backend::Backend;
use crate::database::sqlite::Database;
use crate::opening::Opening;
use crate::store::OutboxOptions;
use crate::store::outbox::{self, SqlOutbox, implement_outbox};
use brighter_core::outbox::OutboxError;

/// An outbox in a table of a SQLite database. Use the database of the application's own tables: a message that is
/// deposited in the application's transaction is committed with it, or not at all.
///
/// A committed message survives a crash of the process and a power failure. Several processes may share the file. A
/// call waits at most five seconds for its turn and five for the lock.
///
/// ```
/// use brighter::message::{Message, MessageBody, MessageHeader, MessageType};
/// use brighter::outbox::OutboxTransaction;
/// use brighter::{MessageId, SqliteOutbox};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("tasks.db");
/// let outbox = SqliteOutbox::open(&path).await?;
/// sqlx::query("CREATE TABLE tasks (name TEXT)").execute(outbox.pool()).await?;
///
/// let header = MessageHeader::new(MessageId::new(), "Task.Reminder", MessageType::Command);
/// let reminder = Message::new(header, MessageBody::new("{}"));
///
/// let mut tx = outbox.pool().begin_with("BEGIN IMMEDIATE").await?;
/// sqlx::query("INSERT INTO tasks VALUES ('milk')").execute(&mut *tx).await?;
/// tx.deposit(&outbox, &[reminder]).await?;
/// tx.commit().await?;
/// # Ok::<(), brighter::BoxError>(())
/// # }).unwrap();
/// ```
///
/// After an error of a deposit, roll back. If the disk is full, SQLite has already rolled back, and later statements
/// run outside of a transaction.
///
/// A plain `begin()` works too. `BEGIN IMMEDIATE` has the lock from the start, so that a transaction that reads before
/// it writes does not fail because another wrote in between.
#[derive(Debug, Clone)]
pub struct SqliteOutbox(SqlOutbox<Database>);

impl SqliteOutbox {
    /// Opens this file, or creates it, and creates or upgrades the tables.
    ///
    /// The file gets a write-ahead log, and every commit waits until it is on the disk (`synchronous = FULL`). With the
    /// faster `NORMAL`, the last commits before a power failure could be lost.
    ///
    /// A new file may be read and written only by its user, like the `-wal` and `-shm` files beside it: they contain
    /// the bodies of messages. An existing file keeps its mode, with one warning if every user may read it.
    ///
    /// # Errors
    /// Returns an error if the file cannot be opened, created or written, is no database, or has tables newer than this
    /// program: see [`OutboxError`].
    pub fn open(path: impl AsRef<Path>) -> Opening<OutboxOptions, Result<Self, OutboxError>> {
        let path = path.as_ref().to_owned();
        Opening::new(async move |options: OutboxOptions| {
            if !options.has_session {
                return Err(OutboxError::Unsupported("connections without a session"));
            }
            let database = Database::open(&path).await?;
            SqlOutbox::open(database, &options).await.map(Self)
        })
    }

    /// Uses the application's own pool with its settings, and creates or upgrades the tables.
    ///
    /// A write-ahead log (`journal_mode = WAL`) is recommended, and `synchronous = FULL`, which is SQLite's default.
    /// The pool sets how long a call waits: `busy_timeout` for the lock, `acquire_timeout` for a connection. A
    /// read-only pool suffices for inspection.
    ///
    /// ```
    /// use brighter::SqliteOutbox;
    /// use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("tasks.db");
    /// let options = SqliteConnectOptions::new()
    ///     .filename(&path)
    ///     .create_if_missing(true)
    ///     .journal_mode(SqliteJournalMode::Wal);
    /// let pool = SqlitePool::connect_with(options).await?;
    /// let outbox = SqliteOutbox::from_pool(pool).await?;
    /// # Ok::<(), brighter::BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Returns an error if the tables cannot be created, are newer than this program, cannot have the name in the
    /// options, or do not match their name and version: see [`OutboxError`].
    pub fn from_pool(pool: SqlitePool) -> Opening<OutboxOptions, Result<Self, OutboxError>> {
        Opening::new(async move |options: OutboxOptions| {
            if !options.has_session {
                return Err(OutboxError::Unsupported("connections without a session"));
            }
            SqlOutbox::open(Database::new(pool), &options).await.map(Self)
        })
    }

    /// Returns the pool of connections to the database, for beginning transactions.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        self.0.backend().pool()
    }

    /// Returns the tables as SQL, for creating them by hand in a database that does not have them yet. An outbox leaves
    /// existing tables unchanged.
    ///
    /// ```
    /// # use brighter::SqliteOutbox;
    /// assert!(SqliteOutbox::ddl().contains("CREATE TABLE IF NOT EXISTS \"brighter_outbox\""));
    /// ```
    #[must_use]
    pub fn ddl() -> String {
        Self::ddl_for(&OutboxOptions::default()).unwrap_or_default()
    }

    /// Returns the tables as SQL, for an outbox with these options.
    ///
    /// # Errors
    /// Returns an error if the table cannot have this name.
    pub fn ddl_for(options: &OutboxOptions) -> Result<String, OutboxError> {
        outbox::ddl::<Sqlite>(options)
    }
}

implement_outbox!(SqliteOutbox, Sqlite, SqlOutbox::arrivals);

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Row};

    use super::*;

    /// Returns SQLite's plan of a statement, one line for each step.
    async fn plan(outbox: &SqliteOutbox, statement: &str) -> String {
        sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")))
            .bind(1)
            .bind(1)
            .bind(1)
            .fetch_all(outbox.pool())
            .await
            .unwrap()
            .iter()
            // The schema is the same everywhere.
            .map(|row| row.get::<String, _>("detail").replace("main.", "") + "\n")
            .collect()
    }

    #[tokio::test]
    async fn no_statement_walks_the_table() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = SqliteOutbox::open(folder.path().join("outbox.db"));
        let outbox = outbox.options(OutboxOptions::default().archive()).await.unwrap();
        let by_age = "SCAN brighter_outbox USING COVERING INDEX brighter_outbox_outstanding";
        let by_death = "brighter_outbox USING INDEX brighter_outbox_dead";
        let by_id = "SEARCH brighter_outbox USING INDEX sqlite_autoindex_brighter_outbox_1 (message_id=?)";
        // Each row must be checked for its topic if topics are left out.
        let by_age_and_topic = "SCAN brighter_outbox USING INDEX brighter_outbox_outstanding";
        let by_topic = "SEARCH brighter_outbox USING INDEX brighter_outbox_topic (topic=?)";
        let by_dispatch = "SEARCH brighter_outbox USING INDEX brighter_outbox_dispatched (dispatched_at<?)";
        let by_causation = "SEARCH brighter_outbox USING INDEX brighter_outbox_causation (causation_id=?)";
        let by_time = "SEARCH brighter_outbox USING INDEX brighter_outbox_scheduled (not_before<?)";
        // The next scheduled messages, in the order of the index and no more than requested.
        let by_schedule = "SCAN brighter_outbox USING INDEX brighter_outbox_scheduled";
        for (statement, step) in outbox.0.statements() {
            let step = match step {
                "schedule" => by_schedule,
                "time" => by_time,
                "age" => by_age,
                "death" => by_death,
                "id" => by_id,
                "topic" => by_topic,
                "age and topic" => by_age_and_topic,
                "dispatch" => by_dispatch,
                _ => by_causation,
            };
            let plan = plan(&outbox, statement).await;
            assert!(plan.contains(step), "{statement}\n{plan}");
            assert!(!plan.contains("SCAN brighter_outbox\n"), "{statement}\n{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{statement}\n{plan}");
        }
    }

    #[tokio::test]
    async fn due_schedules_are_read_in_the_order_of_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let outbox = SqliteOutbox::open(folder.path().join("outbox.db"));
        let options = OutboxOptions::default().schedules();
        let outbox = outbox.options(options).await.unwrap();
        for statement in outbox.0.looks_at_schedules() {
            let plan = plan(&outbox, statement).await;
            assert!(
                plan.contains("INDEX brighter_outbox_schedules_due"),
                "{statement}\n{plan}"
            );
            assert!(!plan.contains("TEMP B-TREE"), "{statement}\n{plan}");
        }
    }
}
