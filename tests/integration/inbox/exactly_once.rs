//! The effect of a handler, the key of its request, and the messages that it causes, in one transaction.

use brighter::inbox::{Begun, InboxError, complete_in};
use brighter::store::InboxOptions;
use brighter::{MySqlInbox, MySqlOutbox, PostgresInbox, PostgresOutbox, SqliteInbox, SqliteOutbox};
use brighter_tests::databases;
use sqlx::AssertSqlSafe;
use tokio::sync::Barrier;

use super::*;

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Payment.Booked", kind = "event")]
struct Booked {
    how: String,
}

async fn sqlite_pool(folder: &tempfile::TempDir) -> sqlx::SqlitePool {
    let outbox = SqliteOutbox::open(folder.path().join("books.db")).await.unwrap();
    outbox.pool().clone()
}

macro_rules! exactly_once {
    ($module:ident, $inbox:ident, $outbox:ident, $pool:ty, $database:expr, $pool_of:expr) => {
        mod $module {
            use super::*;

            /// Books a payment: a row, and a message that says so.
            struct Books {
                pool: $pool,
                till: Till,
                meeting: Option<Arc<Barrier>>,
            }

            #[handler]
            impl Handler<Pay> for Books {
                #[use_inbox(lease = "1s", step = 1)]
                async fn handle(&self, pay: &Pay, cx: &Context) -> Result<(), BoxError> {
                    // A second call here was let in a second time: the lease was over.
                    if let Some(meeting) = &self.meeting {
                        meeting.wait().await;
                    }
                    let mut tx = self.pool.begin().await?;
                    let book = "INSERT INTO books (name) VALUES ('paid')";
                    sqlx::query(book).execute(&mut *tx).await?;
                    complete_in(&mut tx, cx).await?;
                    let booked = Booked {
                        how: pay.how.clone(),
                    };
                    cx.deposit_post(&mut tx, booked).await?;
                    // Where it may fail, with all of it done and none of it committed.
                    self.till.pay(pay).await?;
                    tx.commit().await?;
                    Ok(())
                }
            }

            async fn node(pool: $pool, till: Till, meeting: Option<Arc<Barrier>>) -> CommandProcessor {
                CommandProcessor::builder()
                    .outbox($outbox::from_pool(pool.clone()).await.unwrap())
                    .inbox($inbox::from_pool(pool.clone()).await.unwrap())
                    .handler(Books {
                        pool,
                        till,
                        meeting,
                    })
                    .build()
                    .unwrap()
            }

            async fn count(pool: &$pool, table: &str) -> i64 {
                let statement = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
                sqlx::query_scalar(statement).fetch_one(pool).await.unwrap()
            }

            async fn make_books(pool: &$pool) {
                sqlx::raw_sql("CREATE TABLE books (name VARCHAR(50))")
                    .execute(pool)
                    .await
                    .unwrap();
            }

            #[tokio::test]
            async fn effect_key_and_message_commit_together() {
                let database = $database.await;
                let pool: $pool = $pool_of(&database).await;
                make_books(&pool).await;
                let till = Till::default();
                let node = node(pool.clone(), till.clone(), None).await;
                let pay = pay("fail twice");
                for attempt in 1..=2 {
                    node.send(pay.clone()).await.unwrap_err();
                    assert_eq!(till.asked(), attempt);
                    assert_eq!(count(&pool, "books").await, 0);
                    assert_eq!(count(&pool, "brighter_inbox").await, 0);
                    assert_eq!(count(&pool, "brighter_outbox").await, 0);
                }
                for _ in 0..3 {
                    node.send(pay.clone()).await.unwrap();
                    assert_eq!(till.asked(), 3, "the others are duplicates");
                    assert_eq!(count(&pool, "books").await, 1);
                    assert_eq!(count(&pool, "brighter_inbox").await, 1);
                    assert_eq!(count(&pool, "brighter_outbox").await, 1);
                }
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn of_two_transactions_on_two_nodes_one_has_an_effect() {
                let database = $database.await;
                let pool: $pool = $pool_of(&database).await;
                make_books(&pool).await;
                let meeting = Some(Arc::new(Barrier::new(2)));
                let mut nodes = Vec::new();
                for _ in 0..2 {
                    let pool = $pool_of(&database).await;
                    nodes.push(node(pool, Till::default(), meeting.clone()).await);
                }
                let pay = pay("cash");
                let handling = nodes.into_iter().map(|node| {
                    let pay = pay.clone();
                    tokio::spawn(async move {
                        loop {
                            match node.send(pay.clone()).await {
                                // Until the lease of the other is over, while it waits for this one.
                                Err(error) if error.to_string().contains("being handled") => {
                                    tokio::time::sleep(Duration::from_millis(20)).await;
                                }
                                result => return result.map_err(|error| format!("{error:?}")),
                            }
                        }
                    })
                });
                let handling: Vec<_> = handling.collect();
                let mut failed = Vec::new();
                for handling in handling {
                    failed.extend(handling.await.unwrap().err());
                }
                assert_eq!(failed.len(), 1, "{failed:?}");
                assert!(failed[0].contains("the claim of"), "{failed:?}");
                assert_eq!(count(&pool, "books").await, 1);
                assert_eq!(count(&pool, "brighter_inbox").await, 1);
                assert_eq!(count(&pool, "brighter_outbox").await, 1);
            }

            #[tokio::test]
            async fn expired_keys_are_forgotten() {
                let database = $database.await;
                let pool: $pool = $pool_of(&database).await;
                let short = InboxOptions::default().retention(Duration::ZERO);
                let key = || InboxKey::new(MessageId::new(), "tests");
                let old = $inbox::from_pool(pool.clone())
                    .options(short)
                    .await
                    .unwrap();
                let rows: Vec<_> = (0..600)
                    .map(|id| format!("('{id}', 'tests', 0, 1, 0)"))
                    .collect();
                let columns = "message_id, context, claim, done, ends_at";
                let rows = format!(
                    "INSERT INTO brighter_inbox ({columns}) VALUES {}",
                    rows.join(", ")
                );
                sqlx::raw_sql(AssertSqlSafe(rows))
                    .execute(&pool)
                    .await
                    .unwrap();
                let last = key();
                assert!(matches!(
                    old.begin(&last, None, MINUTE).await,
                    Ok(Begun::First(_))
                ));
                assert!(matches!(
                    old.begin(&key(), None, MINUTE).await,
                    Ok(Begun::First(_))
                ));
                // Those two, for they are being handled.
                assert_eq!(count(&pool, "brighter_inbox").await, 2);
                assert!(matches!(
                    old.begin(&last, None, MINUTE).await,
                    Ok(Begun::Running { .. })
                ));
            }

            #[tokio::test]
            async fn handmade_tables_are_used_and_newer_ones_refused() {
                let database = $database.await;
                let pool: $pool = $pool_of(&database).await;
                let options = InboxOptions::default().table("orders_inbox");
                let by_hand = AssertSqlSafe($inbox::ddl_for(&options).unwrap());
                sqlx::raw_sql(by_hand).execute(&pool).await.unwrap();
                let inbox = $inbox::from_pool(pool.clone())
                    .options(options.clone())
                    .await
                    .unwrap();
                inbox
                    .complete(&InboxKey::new("1".into(), "tests"))
                    .await
                    .unwrap();
                assert_eq!(count(&pool, "orders_inbox").await, 1);
                sqlx::raw_sql("UPDATE brighter_schema SET version = 99")
                    .execute(&pool)
                    .await
                    .unwrap();
                let refused = $inbox::from_pool(pool).options(options).await;
                assert!(
                    matches!(
                        refused,
                        Err(InboxError::NewerSchema {
                            found: 99,
                            known: 1
                        })
                    ),
                    "{refused:?}"
                );
            }
        }
    };
}

exactly_once!(
    sqlite,
    SqliteInbox,
    SqliteOutbox,
    sqlx::SqlitePool,
    async { tempfile::tempdir().unwrap() },
    sqlite_pool
);
exactly_once!(
    postgres,
    PostgresInbox,
    PostgresOutbox,
    sqlx::PgPool,
    databases::Postgres::new(),
    databases::Postgres::pool
);
exactly_once!(
    mysql,
    MySqlInbox,
    MySqlOutbox,
    sqlx::MySqlPool,
    databases::MySql::new(),
    databases::MySql::pool
);

/// A mistake in a program is a typed error, before anything is lost by it.
#[tokio::test]
async fn a_foreign_or_missing_transaction_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = SqliteOutbox::open(folder.path().join("books.db")).await.unwrap();
    let mut tx = outbox.pool().begin().await.unwrap();
    let none = complete_in(&mut tx, &Context::new()).await;
    assert!(matches!(none, Err(InboxError::NotHandling)), "{none:?}");
    drop(tx);

    struct Wrong(sqlx::SqlitePool, Arc<Mutex<Option<InboxError>>>);
    #[handler]
    impl Handler<Pay> for Wrong {
        #[use_inbox(step = 1)]
        async fn handle(&self, _: &Pay, cx: &Context) -> Result<(), BoxError> {
            let mut tx = self.0.begin().await?;
            let wrong = complete_in(&mut tx, cx).await;
            *self.1.lock().unwrap() = wrong.err();
            Ok(())
        }
    }
    let told = Arc::default();
    let processor = CommandProcessor::builder()
        .inbox(InMemoryInbox::new())
        .handler(Wrong(outbox.pool().clone(), Arc::clone(&told)))
        .build()
        .unwrap();
    processor.send(pay("cash")).await.unwrap();
    let told = told.lock().unwrap().take();
    assert!(
        matches!(told, Some(InboxError::WrongTransaction { wanted }) if wanted.contains("SqliteInbox")),
        "{told:?}"
    );
}
