//! However a handler ends, no transaction stays open: the server itself is asked.

use std::sync::Arc;
use std::time::Duration;

use brighter::prelude::*;
use brighter_tests::wait::deadline;
use tokio::sync::Notify;

use crate::desk::{Book, DeskError, book, books, in_each_database};

/// How many transactions are open in the database of this pool.
trait Open {
    async fn open(&self) -> i64;
}

impl Open for sqlx::PgPool {
    /// The connections of a test are those whose search path names its schema, and of this pool.
    async fn open(&self) -> i64 {
        let query = "SELECT count(*) FROM pg_stat_activity, pg_locks \
             WHERE pg_locks.pid = pg_stat_activity.pid AND relation = to_regclass('books') \
             AND pg_stat_activity.pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'";
        sqlx::query_scalar(query).fetch_one(self).await.unwrap()
    }
}

impl Open for sqlx::MySqlPool {
    /// Whether a transaction holds the table. InnoDB's own list is renewed only after nobody has read it for 0.1 s.
    async fn open(&self) -> i64 {
        let mut connection = self.acquire().await.unwrap();
        let held = sqlx::raw_sql("LOCK TABLES books WRITE NOWAIT")
            .execute(&mut *connection)
            .await
            .is_err();
        sqlx::raw_sql("UNLOCK TABLES")
            .execute(&mut *connection)
            .await
            .unwrap();
        i64::from(held)
    }
}

impl Open for sqlx::SqlitePool {
    /// Whether somebody has the lock for writing.
    async fn open(&self) -> i64 {
        let mut connection = self.acquire().await.unwrap();
        sqlx::raw_sql("PRAGMA busy_timeout = 0")
            .execute(&mut *connection)
            .await
            .unwrap();
        let locked = sqlx::raw_sql("BEGIN IMMEDIATE; ROLLBACK")
            .execute(&mut *connection)
            .await
            .is_err();
        sqlx::raw_sql("PRAGMA busy_timeout = 5000")
            .execute(&mut *connection)
            .await
            .unwrap();
        i64::from(locked)
    }
}

/// How a handler that has written ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Error,
    Panic,
    Waits,
}

macro_rules! ending {
    ($module:ident, $inbox:ident, $outbox:ident, $pool:ty, $tx:ty, $database:expr, $pool_of:expr, $value:literal) => {
        mod $module {
            use super::*;
            books!($inbox, $outbox, $pool);

            const BOOK: &str = concat!("INSERT INTO books (name) VALUES (", $value, ")");

            struct Desk {
                ending: Ending,
                written: Arc<Notify>,
            }

            #[handler]
            impl Handler<Book> for Desk {
                #[transactional(step = 1)]
                async fn handle(&self, book: &Book, tx: &mut $tx) -> Result<(), DeskError> {
                    self.run(book, tx).await
                }
            }

            impl Desk {
                async fn run(&self, book: &Book, tx: &mut $tx) -> Result<(), DeskError> {
                    sqlx::query(BOOK)
                        .bind(&book.name)
                        .execute(&mut **tx)
                        .await?;
                    self.written.notify_one();
                    match self.ending {
                        Ending::Error => Err(DeskError::Empty),
                        Ending::Panic => panic!("the desk is on fire"),
                        Ending::Waits => std::future::pending().await,
                    }
                }
            }

            struct Slow(Desk);

            #[handler]
            impl Handler<Book> for Slow {
                #[timeout("400ms", step = 1)]
                #[transactional(step = 2)]
                async fn handle(&self, book: &Book, tx: &mut $tx) -> Result<(), DeskError> {
                    self.0.run(book, tx).await
                }
            }

            struct SlowInside(Desk);

            #[handler]
            impl Handler<Book> for SlowInside {
                #[transactional(step = 1)]
                #[timeout("400ms", step = 2)]
                async fn handle(&self, book: &Book, tx: &mut $tx) -> Result<(), DeskError> {
                    self.0.run(book, tx).await
                }
            }

            fn desk(ending: Ending) -> Desk {
                let written = Arc::default();
                Desk { ending, written }
            }

            /// Waits until nothing is open and nothing is committed.
            /// Waits until a transaction is seen.
            async fn is_open(pool: &$pool) {
                let waited = tokio::time::timeout(deadline(), async {
                    // The deletion of expired keys may be another one.
                    while pool.open().await == 0 {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                });
                assert!(waited.await.is_ok(), "it is open while the handler works");
            }

            async fn is_clean(pool: &$pool) {
                let waited = tokio::time::timeout(deadline(), async {
                    while pool.open().await != 0 {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                });
                assert!(waited.await.is_ok(), "a transaction is open");
                assert_eq!(committed(pool).await, [0, 0, 0]);
            }

            #[tokio::test]
            async fn an_error_or_a_panic_leaves_no_open_transaction() {
                let database = $database.await;
                let pool: $pool = $pool_of(&database).await;
                make_books(&pool).await;
                for ending in [Ending::Error, Ending::Panic] {
                    let processor = stores(&pool).await.handler(desk(ending)).build().unwrap();
                    let error = processor.send(book("milk")).await.unwrap_err().report();
                    let expected = match ending {
                        Ending::Error => "the till is empty",
                        _ => "the desk is on fire",
                    };
                    assert!(error.contains(expected), "{error}");
                    is_clean(&pool).await;
                }
            }

            #[tokio::test]
            async fn a_timeout_around_or_inside_leaves_no_open_transaction() {
                let database = $database.await;
                let pool: $pool = $pool_of(&database).await;
                make_books(&pool).await;
                let around = stores(&pool)
                    .await
                    .handler(Slow(desk(Ending::Waits)))
                    .build()
                    .unwrap();
                let inside = stores(&pool)
                    .await
                    .handler(SlowInside(desk(Ending::Waits)))
                    .build()
                    .unwrap();
                for processor in [around, inside] {
                    let error = processor.send(book("milk")).await.unwrap_err().report();
                    assert!(error.contains("no result within 400ms"), "{error}");
                    is_clean(&pool).await;
                }
            }

            #[tokio::test]
            async fn a_handler_that_is_dropped_leaves_no_open_transaction() {
                let database = $database.await;
                let pool: $pool = $pool_of(&database).await;
                make_books(&pool).await;
                let desk = desk(Ending::Waits);
                let written = Arc::clone(&desk.written);
                let processor = stores(&pool).await.handler(desk).build().unwrap();
                let handling = tokio::spawn(async move { processor.send(book("milk")).await });
                written.notified().await;
                is_open(&pool).await;
                handling.abort();
                handling.await.unwrap_err();
                is_clean(&pool).await;
            }
        }
    };
}

in_each_database!(ending);
