//! Transactions that are in each other's way are run again, and what the database rolled back is not taken for done.

use std::sync::Arc;
use std::time::Duration;

use brighter::prelude::*;
use tokio::sync::Barrier;

use crate::desk::{Book, Calls, DeskError, book, books};

macro_rules! servers {
    ($module:ident, $inbox:ident, $outbox:ident, $pool:ty, $tx:ty, $database:ident, $fails:literal) => {
        mod $module {
            use super::*;
            use brighter_tests::databases::$database;
            books!($inbox, $outbox, $pool);

            /// Locks two rows, in the order of its name. The first two calls meet between the two.
            struct Desk {
                calls: Calls,
                meeting: Arc<Barrier>,
            }

            #[handler]
            impl Handler<Book> for Desk {
                #[transactional(step = 1)]
                async fn handle(&self, book: &Book, tx: &mut $tx) -> Result<(), DeskError> {
                    let rows = match book.name.as_str() {
                        "up" => ["a", "b"],
                        _ => ["b", "a"],
                    };
                    let is_first = self.calls.next() <= 2;
                    for (number, row) in rows.into_iter().enumerate() {
                        if number == 1 && is_first {
                            self.meeting.wait().await;
                        }
                        let update = format!("UPDATE accounts SET cents = cents + 1 WHERE name = '{row}'");
                        sqlx::raw_sql(sqlx::AssertSqlSafe(update))
                            .execute(&mut **tx)
                            .await?;
                    }
                    Ok(())
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_deadlock_is_run_again_and_nobody_sees_it() {
                let database = $database::new().await;
                let pool: $pool = database.pool().await;
                make_books(&pool).await;
                sqlx::raw_sql("CREATE TABLE accounts (name VARCHAR(50) PRIMARY KEY, cents BIGINT)")
                    .execute(&pool)
                    .await
                    .unwrap();
                sqlx::raw_sql("INSERT INTO accounts VALUES ('a', 0), ('b', 0)")
                    .execute(&pool)
                    .await
                    .unwrap();
                let calls = Calls::default();
                let desk = Desk {
                    calls: calls.clone(),
                    meeting: Arc::new(Barrier::new(2)),
                };
                let processor = stores(&pool).await.handler(desk).build().unwrap();
                let (up, down) = tokio::join!(processor.send(book("up")), processor.send(book("down")));
                up.unwrap();
                down.unwrap();
                assert!(
                    calls.count() >= 3,
                    "one was run again, of {}",
                    calls.count()
                );
                let cents: Vec<i64> = sqlx::query_scalar("SELECT cents FROM accounts")
                    .fetch_all(&pool)
                    .await
                    .unwrap();
                assert_eq!(cents, [2, 2]);
                assert_eq!(committed(&pool).await, [0, 2, 0]);
            }

            /// Always fails as if another transaction were in the way.
            struct Unlucky(Calls);

            #[handler]
            impl Handler<Book> for Unlucky {
                #[transactional(step = 1)]
                #[use_policy(Retry::attempts(2).fixed(Duration::from_millis(1)), step = 2)]
                async fn handle(&self, _: &Book, tx: &mut $tx) -> Result<(), DeskError> {
                    self.0.next();
                    sqlx::raw_sql($fails).execute(&mut **tx).await?;
                    Ok(())
                }
            }

            #[tokio::test]
            async fn conflicts_are_bounded_and_no_policy_inside_counts_them() {
                let database = $database::new().await;
                let pool: $pool = database.pool().await;
                make_books(&pool).await;
                let calls = Calls::default();
                let processor = stores(&pool)
                    .await
                    .handler(Unlucky(calls.clone()))
                    .build()
                    .unwrap();
                let error = processor.send(book("milk")).await.unwrap_err();
                let brighter::processor::SendError::Handler(error) = error else {
                    panic!("{error:?}")
                };
                assert!(
                    matches!(error.downcast_ref(), Some(DeskError::Database(_))),
                    "{error:?}"
                );
                assert_eq!(calls.count(), 6, "one call an attempt, and six attempts");
                assert_eq!(committed(&pool).await, [0, 0, 0]);
            }

            /// Hides such a failure.
            struct Hides;

            #[handler]
            impl Handler<Book> for Hides {
                #[transactional(step = 1)]
                async fn handle(&self, _: &Book, tx: &mut $tx) -> Result<(), DeskError> {
                    sqlx::raw_sql("ROLLBACK").execute(&mut **tx).await?;
                    Ok(())
                }
            }

            #[tokio::test]
            async fn what_is_rolled_back_unseen_is_no_success() {
                let database = $database::new().await;
                let pool: $pool = database.pool().await;
                make_books(&pool).await;
                let processor = stores(&pool).await.handler(Hides).build().unwrap();
                let error = processor.send(book("milk")).await.unwrap_err().report();
                assert!(
                    error.contains("the database rolled the transaction back"),
                    "{error}"
                );
                assert_eq!(committed(&pool).await, [0, 0, 0]);
            }
        }
    };
}

servers!(
    postgres,
    PostgresInbox,
    PostgresOutbox,
    sqlx::PgPool,
    sqlx::PgTransaction<'_>,
    Postgres,
    "DO $$ BEGIN RAISE EXCEPTION 'in the way' USING ERRCODE = '40001'; END $$"
);
servers!(
    mysql,
    MySqlInbox,
    MySqlOutbox,
    sqlx::MySqlPool,
    sqlx::MySqlTransaction<'_>,
    MySql,
    "SIGNAL SQLSTATE '40001'"
);

/// Hides the failure of a statement, after which PostgreSQL rolls back in place of a commit.
struct Swallows;

#[handler]
impl Handler<Book> for Swallows {
    #[transactional(step = 1)]
    async fn handle(&self, _: &Book, tx: &mut sqlx::PgTransaction<'_>) -> Result<(), DeskError> {
        let _ = sqlx::query("SELECT 1 / 0").execute(&mut **tx).await;
        Ok(())
    }
}

/// Writes in a transaction that is to read.
struct Reads;

#[handler]
impl Handler<Book> for Reads {
    #[transactional(read_only, isolation = repeatable_read, step = 1)]
    async fn handle(&self, book: &Book, tx: &mut sqlx::PgTransaction<'_>) -> Result<(), DeskError> {
        let level: String = sqlx::query_scalar("SHOW transaction_isolation")
            .fetch_one(&mut **tx)
            .await?;
        assert_eq!(level, "repeatable read");
        if book.name == "write" {
            sqlx::query("INSERT INTO books VALUES ('milk')")
                .execute(&mut **tx)
                .await?;
        }
        Ok(())
    }
}

mod in_postgres {
    use super::*;
    use brighter_tests::databases::Postgres;
    books!(PostgresInbox, PostgresOutbox, sqlx::PgPool);

    #[tokio::test]
    async fn a_statement_whose_failure_is_hidden_is_no_success() {
        let database = Postgres::new().await;
        let pool = database.pool().await;
        make_books(&pool).await;
        let processor = stores(&pool).await.handler(Swallows).build().unwrap();
        let error = processor.send(book("milk")).await.unwrap_err().report();
        assert!(
            error.contains("the database rolled the transaction back"),
            "{error}"
        );
        assert_eq!(committed(&pool).await, [0, 0, 0]);
    }

    #[tokio::test]
    async fn a_read_only_transaction_writes_nothing() {
        let database = Postgres::new().await;
        let pool = database.pool().await;
        make_books(&pool).await;
        let processor = stores(&pool).await.handler(Reads).build().unwrap();
        processor.send(book("read")).await.unwrap();
        let error = processor.send(book("write")).await.unwrap_err().report();
        assert!(error.contains("read-only transaction"), "{error}");
        assert_eq!(committed(&pool).await, [0, 0, 0]);
    }
}

mod in_sqlite {
    use super::*;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
    use sqlx::{ConnectOptions, Connection};
    books!(SqliteInbox, SqliteOutbox, SqlitePool);

    struct Desk;

    #[handler]
    impl Handler<Book> for Desk {
        #[transactional(step = 1)]
        async fn handle(&self, _: &Book, tx: &mut sqlx::SqliteTransaction<'_>) -> Result<(), DeskError> {
            sqlx::query("INSERT INTO books VALUES ('milk')")
                .execute(&mut **tx)
                .await?;
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_file_that_another_writes_is_asked_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("books.db");
        let options = SqliteConnectOptions::new().filename(&file);
        // Connections that wait for no lock come only when nothing else has the file open any more.
        let first = options
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        let first = SqlitePool::connect_with(first).await.unwrap();
        make_books(&first).await;
        drop(stores(&first).await);
        first.close().await;
        let options = options.busy_timeout(Duration::ZERO);
        let pool: SqlitePool = SqlitePoolOptions::new()
            .connect_with(options.clone())
            .await
            .unwrap();
        let processor = stores(&pool).await.handler(Desk).build().unwrap();
        let mut other = options.connect().await.unwrap();
        let writing = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let sending = processor.send(book("milk"));
        let ended = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            writing.rollback().await.unwrap();
        };
        let (sent, ()) = tokio::join!(sending, ended);
        sent.unwrap();
        assert_eq!(committed(&pool).await, [1, 1, 0]);
    }
}
