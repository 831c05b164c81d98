//! [`Database`]: a database file, and the order of its writers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, Sqlite, SqliteConnection, SqlitePool, Transaction};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::error::{is_busy, sort};
use super::private;
use crate::database::backend::{Backend, Operation, close_idle, connection, in_time};
use crate::database::error::{Consequence, DatabaseError};

/// The longest wait for a lock, for a connection, and for the turn to write.
const WAIT: Duration = Duration::from_secs(5);

/// Only one connection writes at a time, so a few suffice for concurrent readers.
const CONNECTIONS: u32 = 8;

/// SQLite's default page size in bytes.
pub(crate) const PAGE: u64 = 4096;

/// A pool, and the queue of its writers.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pool: SqlitePool,
    turn: Arc<Semaphore>,
}

impl Database {
    pub(crate) async fn open(path: &Path) -> Result<Self, DatabaseError> {
        Self::open_limited(path, None).await
    }

    /// Opens a file with a limit of its size in bytes.
    pub(crate) async fn open_limited(path: &Path, bytes: Option<u64>) -> Result<Self, DatabaseError> {
        private::make(path);
        let mut options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            // With NORMAL, the last commits may be lost in a power failure.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(WAIT);
        if let Some(bytes) = bytes {
            options = options.pragma("max_page_count", (bytes / PAGE).to_string());
        }
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(WAIT)
            .connect_lazy_with(options.clone());
        write_ahead(&pool).await?;
        writable(&options).await?;
        Ok(Self::new(pool))
    }

    pub(crate) fn new(pool: SqlitePool) -> Self {
        Self {
            turn: turn_of(pool.connect_options().get_filename()),
            pool,
        }
    }

    /// Waits for its turn, and returns a connection for writing. Without turns, all but one writer would poll SQLite's
    /// lock at growing intervals, and could starve. Other processes still have to poll.
    async fn writer(&self) -> Result<Writer, DatabaseError> {
        let turn = WriteTurn::of(&self.turn).await?;
        let connection = loop {
            let mut connection = self.pool.acquire().await.map_err(sort)?;
            if !connection.is_in_transaction() {
                break connection;
            }
            // SQLite itself ends a transaction when the disk is full. sqlx does not notice: it treats the connection as
            // still in the transaction, and refuses `BEGIN IMMEDIATE` on it.
            connection.close_on_drop();
        };
        Ok(Writer {
            connection,
            _turn: turn,
        })
    }
}

/// The turn of one writer of a file in this process, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct WriteTurn {
    _permit: OwnedSemaphorePermit,
}

impl WriteTurn {
    /// Waits for a turn to write the file of this pool.
    pub(crate) async fn take(pool: &SqlitePool) -> Result<Self, DatabaseError> {
        Self::of(&turn_of(pool.connect_options().get_filename())).await
    }

    async fn of(turns: &Arc<Semaphore>) -> Result<Self, DatabaseError> {
        let permit = tokio::time::timeout(WAIT, Arc::clone(turns).acquire_owned())
            .await
            .map_err(|elapsed| DatabaseError::Unavailable(elapsed.into()))?
            .map_err(|closed| DatabaseError::Other(closed.into()))?;
        Ok(Self { _permit: permit })
    }
}

/// The turns of each file that this process has open: an outbox, an inbox and a broker may share one.
static TURNS: LazyLock<Mutex<HashMap<PathBuf, Weak<Semaphore>>>> = LazyLock::new(Mutex::default);

/// Returns the turns of a file. A database in memory has turns of its own.
fn turn_of(path: &Path) -> Arc<Semaphore> {
    let new = || Arc::new(Semaphore::new(1));
    let Ok(path) = path.canonicalize() else {
        return new();
    };
    let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    turns.retain(|_, turn| turn.strong_count() > 0);
    if let Some(turn) = turns.get(&path).and_then(Weak::upgrade) {
        return turn;
    }
    let turn = new();
    turns.insert(path, Arc::downgrade(&turn));
    turn
}

impl Backend for Database {
    type Db = Sqlite;

    fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// They have another file open than the one that has its name now.
    fn retire(&self) {
        close_idle(&self.pool);
    }

    async fn write<W: Operation<Sqlite>>(&self, operation: W) -> Result<W::Output, W::Error> {
        brighter_core::__private::fault_point!("database.begin", DatabaseError::Unavailable);
        let mut writer = self.writer().await?;
        let done = writer.run(operation).await;
        if done.as_ref().is_err_and(Consequence::is_standby) {
            writer.connection.close_on_drop();
            self.retire();
        }
        done
    }

    async fn read<W: Operation<Sqlite>>(&self, operation: W) -> Result<W::Output, W::Error> {
        in_time(async {
            let mut connection = connection(&self.pool).await?;
            operation.run(&mut connection).await
        })
        .await
    }
}

/// A connection that has the turn to write.
struct Writer {
    connection: PoolConnection<Sqlite>,
    _turn: WriteTurn,
}

impl Writer {
    async fn run<W: Operation<Sqlite>>(&mut self, operation: W) -> Result<W::Output, W::Error> {
        let mut transaction = self.begin().await?;
        let done = operation.run(&mut transaction).await?;
        brighter_core::__private::fault_point!("database.commit", DatabaseError::Unavailable);
        transaction.commit().await.map_err(sort)?;
        brighter_core::__private::fault_point!("database.committed", DatabaseError::Unavailable);
        Ok(done)
    }

    /// Begins a transaction that has the lock from the start. A transaction that reads first and then writes would fail
    /// without waiting if another wrote in between.
    async fn begin(&mut self) -> Result<Transaction<'_, Sqlite>, DatabaseError> {
        self.connection.begin_with("BEGIN IMMEDIATE").await.map_err(sort)
    }
}

/// Refuses a read-only file, which SQLite opens for reading without an error.
///
/// `BEGIN IMMEDIATE` does not detect this: it becomes a read transaction. The test writes nothing to the file: its
/// change is rolled back in memory.
async fn writable(options: &SqliteConnectOptions) -> Result<(), DatabaseError> {
    // SQLite checks the write permission before it requests the lock. So another writer's lock need not be awaited: the
    // file is known to be writable by then.
    let options = options.clone().busy_timeout(Duration::ZERO);
    let tried = async {
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let written = sqlx::raw_sql("BEGIN; PRAGMA user_version = 0; ROLLBACK")
            .execute(&mut connection)
            .await;
        // Closing rolls back the failed change.
        connection.close().await?;
        written
    };
    match tried.await.map_err(sort) {
        Err(error @ DatabaseError::ReadOnly(_)) => Err(error),
        // A full disk or a lock may have cleared before the first write, which reports it otherwise.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Switches the file to a write-ahead log permanently: readers do not wait for the writer.
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
                    "a database in memory has one connection only: give the path of a file, or use an InMemoryOutbox or an InMemoryBroker"
                        .into(),
                ));
            }
            Ok(mode) => {
                tracing::warn!(
                    mode,
                    "SQLite refused a write-ahead log for this file; writing is slower without it"
                );
                return Ok(());
            }
            // SQLite does not wait for the lock that this needs, and another process may be opening the file too.
            Err(error) if is_busy(error) && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(_) => return mode.map(drop).map_err(sort),
        }
    }
}
