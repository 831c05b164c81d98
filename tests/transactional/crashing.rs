//! Whatever goes wrong at whichever step, effect, key and message agree.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use brighter::prelude::*;
use brighter::testing::{Scenario, crash_test};

use crate::desk::{Book, Booked, DeskError, books};

macro_rules! crashing {
    ($(#[$ignored:meta])? $module:ident, $inbox:ident, $outbox:ident, $pool:ty, $tx:ty, $database:expr, $pool_of:expr, $value:literal) => {
        mod $module {
            use super::*;
            books!($inbox, $outbox, $pool);

            const BOOK: &str = concat!("INSERT INTO books (name) VALUES (", $value, ")");

            struct Desk;

            #[handler]
            impl Handler<Book> for Desk {
                #[transactional(step = 1)]
                async fn handle(&self, book: &Book, tx: &mut $tx, cx: &Context) -> Result<(), DeskError> {
                    sqlx::query(BOOK).bind(&book.name).execute(&mut **tx).await?;
                    let name = book.name.clone();
                    cx.deposit_post(tx, Booked { name }).await?;
                    Ok(())
                }
            }

            /// Hears of every payment, so that its message has a channel.
            struct Teller;

            #[handler]
            impl Handler<Booked> for Teller {
                async fn handle(&self, _: &Booked) -> Result<(), DeskError> {
                    Ok(())
                }
            }

            /// Each run begins with empty tables.
            async fn empty(pool: &$pool) {
                for table in ["books", "brighter_inbox", "brighter_outbox"] {
                    let delete = format!("DELETE FROM {table}");
                    sqlx::raw_sql(sqlx::AssertSqlSafe(delete)).execute(pool).await.unwrap();
                }
            }

            #[test]
            $(#[$ignored])?
            fn effect_key_and_message_agree_whatever_goes_wrong() {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                let database = Arc::new(runtime.block_on($database));
                runtime.block_on(async {
                    let pool: $pool = $pool_of(&database).await;
                    make_books(&pool).await;
                    let _ = stores(&pool).await;
                    pool.close().await;
                });
                let describe = |scenario: Scenario| {
                    let (living, at_the_end) = (Arc::clone(&database), Arc::clone(&database));
                    let is_new = Cell::new(true);
                    scenario
                        .exactly_once()
                        // In pairs it takes a thousand runs.
                        .one_fault_at_a_time()
                        .with_the_clock_running()
                        .app(move |app| {
                            let (database, is_new) = (Arc::clone(&living), is_new.replace(false));
                            async move {
                                let pool: $pool = $pool_of(&database).await;
                                if is_new {
                                    empty(&pool).await;
                                }
                                let outbox = brighter::$outbox::from_pool(pool.clone()).await.unwrap();
                                let inbox = brighter::$inbox::from_pool(pool).await.unwrap();
                                let quick = Sweeper::default()
                                    .interval(Duration::from_millis(10))
                                    .lease(Duration::from_millis(200));
                                app.processor(move |processor| {
                                    processor.handler(Desk).handler(Teller).outbox(outbox).inbox(inbox).sweeper(quick)
                                })
                                .dispatcher(|dispatcher| {
                                    let desk = Subscription::<Book>::new("desk");
                                    dispatcher
                                        .subscription(desk.delays([Duration::from_millis(5)]))
                                        .subscription(Subscription::<Booked>::new("tellers"))
                                })
                            }
                        })
                        .when(|life| async move {
                            let id = MessageId::from("milk");
                            let name = "milk".to_owned();
                            if life.processor().post(Book { id, name }).await.is_ok() {
                                life.promise("effect milk");
                                life.promise("key milk");
                                life.promise("message of milk");
                            }
                        })
                        .effects(move || {
                            let database = Arc::clone(&at_the_end);
                            async move {
                                let pool: $pool = $pool_of(&database).await;
                                let mut found = Vec::new();
                                for (what, query) in [
                                    ("effect", "SELECT name FROM books"),
                                    ("key", "SELECT CAST(message_id AS CHAR(50)) FROM brighter_inbox WHERE done = 1"),
                                    (
                                        "message of",
                                        "SELECT CAST(causation_id AS CHAR(50)) FROM brighter_outbox WHERE topic = 'Payment.Booked'",
                                    ),
                                ] {
                                    let rows: Vec<String> = sqlx::query_scalar(query).fetch_all(&pool).await.unwrap();
                                    found.extend(rows.iter().map(|row| format!("{what} {}", row.trim_end())));
                                }
                                pool.close().await;
                                found
                            }
                        })
                };
                let report = crash_test(describe);
                eprintln!("{}: {report:?}", stringify!($module));
                assert!(report.points >= 15 && report.runs >= 50, "{report:?}");
            }
        }
    };
}

crashing!(
    sqlite,
    SqliteInbox,
    SqliteOutbox,
    sqlx::SqlitePool,
    sqlx::SqliteTransaction<'_>,
    crate::desk::sqlite(),
    crate::desk::sqlite_pool,
    "?"
);
crashing!(
    #[ignore = "125 runs take minutes on a server: run it by `-- --ignored`"]
    postgres,
    PostgresInbox,
    PostgresOutbox,
    sqlx::PgPool,
    sqlx::PgTransaction<'_>,
    brighter_tests::databases::Postgres::new(),
    brighter_tests::databases::Postgres::pool,
    "$1"
);
crashing!(
    #[ignore = "125 runs take minutes on a server: run it by `-- --ignored`"]
    mysql,
    MySqlInbox,
    MySqlOutbox,
    sqlx::MySqlPool,
    sqlx::MySqlTransaction<'_>,
    brighter_tests::databases::MySql::new(),
    brighter_tests::databases::MySql::pool,
    "?"
);
