//! A desk that books payments, in three databases.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use brighter::prelude::*;

/// Book a payment.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Payment.Book")]
pub(crate) struct Book {
    pub(crate) id: MessageId,
    pub(crate) name: String,
}

/// A payment was booked.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Payment.Booked", kind = "event")]
pub(crate) struct Booked {
    pub(crate) name: String,
}

pub(crate) fn book(name: &str) -> Book {
    Book {
        id: MessageId::new(),
        name: name.to_owned(),
    }
}

/// What is wrong at the desk.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeskError {
    #[error("the till is empty")]
    Empty,
    #[error("cannot book")]
    Database(#[from] sqlx::Error),
    #[error("cannot tell of it")]
    Post(#[from] brighter::processor::PostError),
}

/// How often the desk was asked, and how many of the first calls fail.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls {
    count: Arc<AtomicU32>,
    failing: u32,
}

impl Calls {
    pub(crate) fn failing(calls: u32) -> Self {
        Self {
            failing: calls,
            ..Self::default()
        }
    }

    pub(crate) fn count(&self) -> u32 {
        self.count.load(Ordering::SeqCst)
    }

    /// Counts a call, and returns its number.
    pub(crate) fn next(&self) -> u32 {
        self.count.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Counts a call, and fails if it is one of those that do.
    pub(crate) fn pass(&self) -> Result<(), DeskError> {
        match self.next() <= self.failing {
            true => Err(DeskError::Empty),
            false => Ok(()),
        }
    }
}

/// A database file of its own.
pub(crate) async fn sqlite() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Connections to it.
pub(crate) async fn sqlite_pool(folder: &tempfile::TempDir) -> sqlx::SqlitePool {
    let outbox = brighter::SqliteOutbox::open(folder.path().join("books.db")).await;
    outbox.unwrap().pool().clone()
}

/// Runs a macro's tests in each of the databases. The macro gets the names of its types, how to make one and connections
/// to it, and the place of a value in a statement.
macro_rules! in_each_database {
    ($tests:ident) => {
        $tests!(
            sqlite,
            SqliteInbox,
            SqliteOutbox,
            sqlx::SqlitePool,
            sqlx::SqliteTransaction<'_>,
            crate::desk::sqlite(),
            crate::desk::sqlite_pool,
            "?"
        );
        $tests!(
            postgres,
            PostgresInbox,
            PostgresOutbox,
            sqlx::PgPool,
            sqlx::PgTransaction<'_>,
            brighter_tests::databases::Postgres::new(),
            brighter_tests::databases::Postgres::pool,
            "$1"
        );
        $tests!(
            mysql,
            MySqlInbox,
            MySqlOutbox,
            sqlx::MySqlPool,
            sqlx::MySqlTransaction<'_>,
            brighter_tests::databases::MySql::new(),
            brighter_tests::databases::MySql::pool,
            "?"
        );
    };
}

pub(crate) use in_each_database;

/// What every test needs of a database: a processor with a handler, the tables, and what is in them.
macro_rules! books {
    ($inbox:ident, $outbox:ident, $pool:ty) => {
        async fn make_books(pool: &$pool) {
            sqlx::raw_sql("CREATE TABLE books (name VARCHAR(50))")
                .execute(pool)
                .await
                .unwrap();
        }

        async fn stores(pool: &$pool) -> brighter::processor::CommandProcessorBuilder {
            brighter::CommandProcessor::builder()
                .outbox(brighter::$outbox::from_pool(pool.clone()).await.unwrap())
                .inbox(brighter::$inbox::from_pool(pool.clone()).await.unwrap())
        }

        /// Returns how many effects, keys and messages are committed.
        #[allow(dead_code)]
        async fn committed(pool: &$pool) -> [i64; 3] {
            let mut counts = [0; 3];
            let queries = [
                "SELECT count(*) FROM books",
                "SELECT count(*) FROM brighter_inbox",
                "SELECT count(*) FROM brighter_outbox",
            ];
            for (count, query) in counts.iter_mut().zip(queries) {
                *count = sqlx::query_scalar(query).fetch_one(pool).await.unwrap();
            }
            counts
        }
    };
}

pub(crate) use books;
