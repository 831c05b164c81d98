//! The [`SqliteOutbox`].

use std::path::Path;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection, SqlitePool};

use super::database::Database;
use super::error::outbox_error;
use super::{row, schema, sql};
use crate::error::BoxError;
use crate::id::MessageId;
use crate::message::Message;
use crate::outbox::{Claim, Claimed, Failure, MessageState, Outbox, OutboxError, OutboxStatus};

/// An outbox in a table of a SQLite database, best the one in which the application keeps its own tables: a
/// message deposited in the application's transaction is committed with it, or not at all.
///
/// What was committed survives the end of the process and of the power. Several processes may share the
/// file. No call waits longer than five seconds for its turn and five for the lock.
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
/// A plain `begin()` works too; `BEGIN IMMEDIATE` has the lock from the start, so that a transaction that
/// reads before it writes does not fail because another wrote in between.
#[derive(Debug, Clone)]
pub struct SqliteOutbox {
    database: Database,
}

impl SqliteOutbox {
    /// Opens this file, makes it if it is missing, and makes the tables or brings them up to date.
    ///
    /// The file gets a write-ahead log and every commit waits until the disk has it (`synchronous = FULL`):
    /// with the faster `NORMAL`, the last commits before the power failed could be lost.
    ///
    /// # Errors
    /// The file cannot be opened or made, is no database, or has tables newer than this program: see
    /// [`OutboxError`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, OutboxError> {
        Self::prepared(Database::open(path.as_ref()).await?).await
    }

    /// Uses the application's own pool, whose settings stay as they are, and makes the tables or brings them
    /// up to date.
    ///
    /// A write-ahead log (`journal_mode = WAL`) is advised, and `synchronous = FULL`, which is what SQLite
    /// does unless told otherwise. How long a call waits is for the pool to say: `busy_timeout` for the
    /// lock, `acquire_timeout` for a connection.
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
    /// let outbox = SqliteOutbox::with_pool(pool).await?;
    /// # Ok::<(), brighter::BoxError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// The tables cannot be made, or are newer than this program: see [`OutboxError`].
    pub async fn with_pool(pool: SqlitePool) -> Result<Self, OutboxError> {
        Self::prepared(Database::new(pool)).await
    }

    async fn prepared(database: Database) -> Result<Self, OutboxError> {
        schema::OUTBOX.apply(&database).await?;
        Ok(Self { database })
    }

    /// The pool of connections to the database, to begin a transaction with.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        self.database.pool()
    }

    /// The tables as SQL, for those who make them by hand in a database that has none of them yet. An outbox
    /// that finds them leaves them as they are.
    ///
    /// ```
    /// # use brighter::SqliteOutbox;
    /// assert!(SqliteOutbox::ddl().contains("CREATE TABLE IF NOT EXISTS brighter_outbox"));
    /// ```
    #[must_use]
    pub fn ddl() -> String {
        schema::OUTBOX.ddl()
    }

    async fn update(&self, statement: &'static str, ids: &[MessageId]) -> Result<(), OutboxError> {
        if ids.is_empty() {
            return Ok(());
        }
        let ids = list(ids)?;
        let mut writer = self.database.writer().await?;
        let mut tx = writer.begin().await?;
        sqlx::query(statement)
            .bind(ids)
            .execute(&mut *tx)
            .await
            .map_err(outbox_error)?;
        tx.commit().await.map_err(outbox_error)
    }
}

impl Outbox for SqliteOutbox {
    fn deposit<'a>(
        &'a self,
        messages: &'a [Message],
        lease: Option<Duration>,
    ) -> BoxFuture<'a, Result<Vec<MessageId>, OutboxError>> {
        Box::pin(async move {
            if messages.is_empty() {
                return Ok(Vec::new());
            }
            let mut writer = self.database.writer().await?;
            let mut tx = writer.begin().await?;
            let known = row::insert(&mut tx, messages, lease.map(millis)).await?;
            tx.commit().await.map_err(outbox_error)?;
            Ok(known)
        })
    }

    fn claim<'a>(
        &'a self,
        which: Claim<'a>,
        lease: Duration,
    ) -> BoxFuture<'a, Result<Vec<Claimed>, OutboxError>> {
        Box::pin(async move {
            let query = match which {
                Claim::Ids([]) | Claim::Oldest { limit: 0, .. } => return Ok(Vec::new()),
                Claim::Ids(ids) => sqlx::query(sql::CLAIM_IDS).bind(millis(lease)).bind(list(ids)?),
                Claim::Oldest { limit, min_age } => sqlx::query(sql::CLAIM_OLDEST)
                    .bind(millis(lease))
                    .bind(millis(min_age))
                    .bind(i64::try_from(limit).unwrap_or(i64::MAX)),
            };
            let mut writer = self.database.writer().await?;
            let mut tx = writer.begin().await?;
            let rows = query.fetch_all(&mut *tx).await.map_err(outbox_error)?;
            let claimed = readable(&mut tx, rows).await.map_err(outbox_error)?;
            tx.commit().await.map_err(outbox_error)?;
            Ok(claimed)
        })
    }

    fn mark_dispatched<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<(), OutboxError>> {
        Box::pin(self.update(sql::DISPATCHED, ids))
    }

    fn mark_failed<'a>(&'a self, failures: &'a [Failure]) -> BoxFuture<'a, Result<(), OutboxError>> {
        Box::pin(async move {
            if failures.is_empty() {
                return Ok(());
            }
            let mut writer = self.database.writer().await?;
            let mut tx = writer.begin().await?;
            for failure in failures {
                sqlx::query(sql::FAILED)
                    .bind(failure.id.to_string())
                    .bind(failure.error.as_str())
                    .bind(millis(failure.retry_after))
                    .execute(&mut *tx)
                    .await
                    .map_err(outbox_error)?;
            }
            tx.commit().await.map_err(outbox_error)
        })
    }

    fn release<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<(), OutboxError>> {
        Box::pin(self.update(sql::RELEASE, ids))
    }

    fn replay<'a>(&'a self, causation: &'a MessageId) -> BoxFuture<'a, Result<u64, OutboxError>> {
        Box::pin(async move {
            let mut writer = self.database.writer().await?;
            let mut tx = writer.begin().await?;
            let replayed = sqlx::query(sql::REPLAY)
                .bind(causation.to_string())
                .execute(&mut *tx)
                .await
                .map_err(outbox_error)?
                .rows_affected();
            tx.commit().await.map_err(outbox_error)?;
            Ok(replayed)
        })
    }

    fn get<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<Vec<Message>, OutboxError>> {
        Box::pin(async move {
            let query = sqlx::query(sql::GET).bind(list(ids)?);
            let rows = query.fetch_all(self.pool()).await.map_err(outbox_error)?;
            let read = |row| row::message(row).map_err(|source| corrupt(row, source));
            rows.iter().map(read).collect()
        })
    }

    fn state<'a>(&'a self, id: &'a MessageId) -> BoxFuture<'a, Result<Option<MessageState>, OutboxError>> {
        Box::pin(async move {
            let found: Option<(bool, u32, Option<String>)> = sqlx::query_as(sql::STATE)
                .bind(id.to_string())
                .fetch_optional(self.pool())
                .await
                .map_err(outbox_error)?;
            Ok(
                found.map(|(outstanding, attempts, last_error)| match outstanding {
                    true => MessageState::outstanding(attempts, last_error),
                    false => MessageState::Dispatched,
                }),
            )
        })
    }

    fn status(&self) -> BoxFuture<'_, Result<OutboxStatus, OutboxError>> {
        Box::pin(async move {
            let (outstanding, oldest): (i64, Option<i64>) = sqlx::query_as(sql::STATUS)
                .fetch_one(self.pool())
                .await
                .map_err(outbox_error)?;
            // The age is negative when the clock was put back.
            let oldest = oldest.map(|age| Duration::from_millis(age.try_into().unwrap_or(0)));
            Ok(OutboxStatus::new(outstanding.unsigned_abs(), oldest))
        })
    }
}

/// The messages of these rows, oldest first. One that cannot be read must not keep back the others: its row
/// stays, with the reason in it, and is not due again.
async fn readable(tx: &mut SqliteConnection, rows: Vec<SqliteRow>) -> Result<Vec<Claimed>, sqlx::Error> {
    let mut claimed = Vec::with_capacity(rows.len());
    for row in rows {
        let seq: i64 = row.try_get("seq")?;
        match row::claimed(&row) {
            Ok(readable) => claimed.push((seq, readable)),
            Err(source) => {
                let error = corrupt(&row, source);
                let reason = crate::error::report(&error);
                tracing::error!(
                    error = reason,
                    "a message in the outbox cannot be read and is set aside"
                );
                sqlx::query(sql::SET_ASIDE)
                    .bind(seq)
                    .bind(reason)
                    .execute(&mut *tx)
                    .await?;
            }
        }
    }
    claimed.sort_unstable_by_key(|(seq, _)| *seq);
    Ok(claimed.into_iter().map(|(_, claimed)| claimed).collect())
}

fn corrupt(row: &SqliteRow, source: BoxError) -> OutboxError {
    let id = row::id(row);
    OutboxError::Corrupt { id, source }
}

/// Ids as one parameter.
fn list(ids: &[MessageId]) -> Result<String, OutboxError> {
    serde_json::to_string(ids).map_err(|error| OutboxError::Other(error.into()))
}

/// Rounded up, so that no lease is shorter than was asked; and bounded, so that the database can add it to
/// the time.
fn millis(time: Duration) -> i64 {
    const NEVER: u128 = 1 << 53;
    time.as_nanos().div_ceil(1_000_000).min(NEVER) as i64
}
