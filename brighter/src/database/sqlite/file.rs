//! The database file: how it is opened, and how it is written.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, Sqlite, SqlitePool, Transaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::error::{is_busy, sort};
use crate::database::backend::{Backend, Work};
use crate::database::error::DatabaseError;

/// The longest wait for a lock, for a connection, and for one's turn to write.
const WAIT: Duration = Duration::from_secs(5);

/// One writes at a time whatever their number, so a few are enough for those who read meanwhile.
const CONNECTIONS: u32 = 8;

/// A pool, and the order in which those who share it write.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pool: SqlitePool,
    turn: Arc<Semaphore>,
}

impl Database {
    pub(crate) async fn open(path: &Path) -> Result<Self, DatabaseError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            // With NORMAL, the last commits may be lost when the power fails.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(WAIT);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(WAIT)
            .connect_lazy_with(options);
        write_ahead(&pool).await?;
        Ok(Self::new(pool))
    }

    pub(crate) fn new(pool: SqlitePool) -> Self {
        Self {
            pool,
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// A connection to write with, when it is our turn. Without turns, all but one would poll SQLite for its
    /// lock at growing intervals, and a late one could starve; other processes still have to.
    async fn writer(&self) -> Result<Writer, DatabaseError> {
        let turn = tokio::time::timeout(WAIT, Arc::clone(&self.turn).acquire_owned())
            .await
            .map_err(|elapsed| DatabaseError::Unavailable(elapsed.into()))?
            .map_err(|closed| DatabaseError::Other(closed.into()))?;
        let connection = loop {
            let mut connection = self.pool.acquire().await.map_err(sort)?;
            if !connection.is_in_transaction() {
                break connection;
            }
            // SQLite itself ends a transaction when the disk is full. sqlx does not notice, believes that
            // the connection is in it for ever after, and refuses `BEGIN IMMEDIATE` on it.
            connection.close_on_drop();
        };
        Ok(Writer {
            connection,
            _turn: turn,
        })
    }
}

impl Backend for Database {
    type Db = Sqlite;

    fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    async fn write<W: Work<Sqlite>>(&self, work: W) -> Result<W::Done, W::Error> {
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin().await?;
        let done = work.run(&mut transaction).await?;
        transaction.commit().await.map_err(sort)?;
        Ok(done)
    }
}

/// A connection whose turn it is to write.
struct Writer {
    connection: PoolConnection<Sqlite>,
    _turn: OwnedSemaphorePermit,
}

impl Writer {
    /// Begins a transaction that has the lock from the start: one that reads first and then writes would
    /// fail without waiting if another wrote in between.
    async fn begin(&mut self) -> Result<Transaction<'_, Sqlite>, DatabaseError> {
        self.connection.begin_with("BEGIN IMMEDIATE").await.map_err(sort)
    }
}

/// Makes the file one with a write-ahead log, which it stays: those who read do not wait for who writes.
async fn write_ahead(pool: &SqlitePool) -> Result<(), DatabaseError> {
    let deadline = Instant::now() + WAIT;
    loop {
        let mode = sqlx::query_scalar::<_, String>("PRAGMA journal_mode = WAL")
            .fetch_one(pool)
            .await;
        match mode.as_deref() {
            Ok("wal") => return Ok(()),
            Ok("memory") => {
                return Err(DatabaseError::Other(
                    "a database in memory has one connection only: give the path of a file, or use an InMemoryOutbox"
                        .into(),
                ));
            }
            Ok(mode) => {
                tracing::warn!(
                    mode,
                    "the outbox cannot use a write-ahead log here, and is slower without"
                );
                return Ok(());
            }
            // SQLite does not wait for the lock that this needs, and another process may open the file too.
            Err(error) if is_busy(error) && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(_) => return mode.map(drop).map_err(sort),
        }
    }
}
