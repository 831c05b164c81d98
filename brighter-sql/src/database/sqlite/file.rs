//! The database file: how it is opened, and how it is written.

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

/// The longest wait for a lock, for a connection, and for one's turn to write.
const WAIT: Duration = Duration::from_secs(5);

/// One writes at a time whatever their number, so a few are enough for those who read meanwhile.
const CONNECTIONS: u32 = 8;

/// What SQLite takes for a page unless told otherwise.
pub(crate) const PAGE: u64 = 4096;

/// A pool, and the order in which those who share it write.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pool: SqlitePool,
    turn: Arc<Semaphore>,
}

impl Database {
    pub(crate) async fn open(path: &Path) -> Result<Self, DatabaseError> {
        Self::open_limited(path, None).await
    }

    /// The same, of a file that is to have so many bytes at most.
    pub(crate) async fn open_limited(path: &Path, bytes: Option<u64>) -> Result<Self, DatabaseError> {
        private::make(path);
        let mut options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            // With NORMAL, the last commits may be lost when the power fails.
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

/// Whose turn it is, for each file that this process has open: an outbox, an inbox and a broker may share one.
static TURNS: LazyLock<Mutex<HashMap<PathBuf, Weak<Semaphore>>>> = LazyLock::new(Mutex::default);

/// The turns of a file. One that cannot be found, as it is in memory, has turns of its own.
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

/// A connection whose turn it is to write.
struct Writer {
    connection: PoolConnection<Sqlite>,
    _turn: OwnedSemaphorePermit,
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

    /// Begins a transaction that has the lock from the start: one that reads first and then writes would
    /// fail without waiting if another wrote in between.
    async fn begin(&mut self) -> Result<Transaction<'_, Sqlite>, DatabaseError> {
        self.connection.begin_with("BEGIN IMMEDIATE").await.map_err(sort)
    }
}

/// Refuses a file that may not be written, which SQLite opens all the same and only reads.
///
/// `BEGIN IMMEDIATE` would not tell: of such a file it makes a transaction that reads. Nothing is written: what is
/// changed is rolled back before it leaves the memory.
async fn writable(options: &SqliteConnectOptions) -> Result<(), DatabaseError> {
    // SQLite looks whether it may write before it asks for the lock. So a lock that another holds is not waited for:
    // that the file can be written is known by then.
    let options = options.clone().busy_timeout(Duration::ZERO);
    let tried = async {
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let written = sqlx::raw_sql("BEGIN; PRAGMA user_version = 0; ROLLBACK")
            .execute(&mut connection)
            .await;
        // Its end rolls back what has failed.
        connection.close().await?;
        written
    };
    match tried.await.map_err(sort) {
        Err(error @ DatabaseError::ReadOnly(_)) => Err(error),
        // What is full or locked may be well again by the time there is something to write, and says so else.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Makes the file one with a write-ahead log, which it stays: readers do not wait for the writer.
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
                    "the file cannot have a write-ahead log here, and is slower without"
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
