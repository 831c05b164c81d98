//! What is special to the outboxes in PostgreSQL and MySQL, which is the same for both.

use std::time::Duration;

use brighter::MessageId;
use brighter::message::Message;
use brighter::outbox::{Claim, Claimed, Failure, Outbox, OutboxError, OutboxTransaction};
use brighter::store::OutboxOptions;
use brighter::testing::eventually;
use brighter::testing::outbox::some_message;
use brighter::{MySqlOutbox, PostgresOutbox};
use brighter_tests::databases;
use sqlx::{AssertSqlSafe, Executor};

const LONG: Duration = Duration::from_secs(3600);

fn oldest(limit: usize) -> Claim<'static> {
    let min_age = Duration::ZERO;
    Claim::oldest(limit, min_age)
}

fn messages(count: usize) -> Vec<Message> {
    (0..count).map(|_| some_message()).collect()
}

fn ids(messages: &[Message]) -> Vec<MessageId> {
    messages.iter().map(|message| message.header.id.clone()).collect()
}

fn claimed_ids(claimed: &[Claimed]) -> Vec<MessageId> {
    claimed.iter().map(|it| it.message.header.id.clone()).collect()
}

/// Claims ten at a time until nothing is left.
async fn claim_all(outbox: impl Outbox) -> Vec<MessageId> {
    let mut mine = Vec::new();
    loop {
        let claimed = outbox.claim(oldest(10), LONG).await.unwrap();
        if claimed.is_empty() {
            return mine;
        }
        mine.extend(claimed_ids(&claimed));
    }
}

/// For an empty outbox with room for three.
pub(super) async fn beyond_the_limit_nothing_is_stored(outbox: &impl Outbox) {
    let messages = messages(5);
    outbox.deposit(&messages[..2], None).await.unwrap();
    let full = outbox.deposit(&messages[2..4], None).await;
    assert!(matches!(full, Err(OutboxError::Full(_))), "{full:?}");
    assert_eq!(outbox.status().await.unwrap().outstanding, 2);
    outbox.deposit(&messages[2..3], None).await.unwrap();

    // What is dispatched or dead gives its room back at once, though the count is of late.
    outbox.mark_dispatched(&ids(&messages[..1])).await.unwrap();
    let dead = Failure::new(messages[1].header.id.clone(), "no", LONG).last();
    outbox.mark_failed(&[dead]).await.unwrap();
    outbox.deposit(&messages[3..], None).await.unwrap();
    assert_eq!(outbox.status().await.unwrap().outstanding, 3);
}

fn without_password(error: &OutboxError, password: &str) {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        assert!(!error.to_string().contains(password), "{error}");
        source = error.source();
    }
    assert!(!format!("{error:?}").contains(password), "{error:?}");
}

macro_rules! tests_of_a_server {
    ($module:ident, $outbox:ident, $database:ident, $url:path, $scheme:literal) => {
        mod $module {
            use super::*;

            async fn execute(outbox: &$outbox, statement: &str) {
                let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
                statement.execute(outbox.pool()).await.unwrap();
            }

            async fn count(outbox: &$outbox, table: &str) -> i64 {
                let statement = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
                sqlx::query_scalar(statement)
                    .fetch_one(outbox.pool())
                    .await
                    .unwrap()
            }

            #[tokio::test]
            async fn a_message_and_its_row_are_stored_together() {
                let database = databases::$database::new().await;
                let outbox = $outbox::from_pool(database.pool().await).await.unwrap();
                execute(&outbox, "CREATE TABLE tasks (name VARCHAR(50))").await;
                for (commit, expected) in [(false, 0), (true, 100)] {
                    let mut tx = outbox.pool().begin().await.unwrap();
                    tx.execute("INSERT INTO tasks VALUES ('milk')")
                        .await
                        .unwrap();
                    tx.deposit(&outbox, &messages(100)).await.unwrap();
                    if commit {
                        tx.commit().await.unwrap();
                    } else {
                        tx.rollback().await.unwrap();
                    }
                    assert_eq!(count(&outbox, "tasks").await, expected / 100);
                    assert_eq!(count(&outbox, "brighter_outbox").await, expected);
                }
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn three_pools_share_and_never_overlap() {
                let database = databases::$database::new().await;
                let outbox = $outbox::from_pool(database.pool().await).await.unwrap();
                let messages = messages(500);
                outbox.deposit(&messages, None).await.unwrap();
                let mut claimers = Vec::new();
                for _ in 0..3 {
                    let other = $outbox::from_pool(database.pool().await).await.unwrap();
                    claimers.push(tokio::spawn(claim_all(other)));
                }
                let mut all = Vec::new();
                for claimer in claimers {
                    all.extend(claimer.await.unwrap());
                }
                // Rows that one has locked are passed over by another, so what is left is claimed at the end.
                all.extend(claim_all(outbox).await);
                all.sort();
                let mut expected = ids(&messages);
                expected.sort();
                assert_eq!(all, expected);
            }

            #[tokio::test]
            async fn locked_rows_block_neither_claims_nor_deposits() {
                let database = databases::$database::new().await;
                let outbox = $outbox::from_pool(database.pool().await).await.unwrap();
                let messages = messages(4);
                outbox.deposit(&messages[..3], None).await.unwrap();
                let mut other = outbox.pool().begin().await.unwrap();
                let lock = "UPDATE brighter_outbox SET attempts = attempts WHERE message_id = '";
                let lock = format!("{lock}{}'", messages[0].header.id);
                sqlx::raw_sql(AssertSqlSafe(lock))
                    .execute(&mut *other)
                    .await
                    .unwrap();

                let claimed = outbox.claim(oldest(1), LONG).await.unwrap();
                assert_eq!(claimed_ids(&claimed), ids(&messages[1..2]));
                outbox.deposit(&messages[3..], None).await.unwrap();
                let claimed = outbox.claim(oldest(10), LONG).await.unwrap();
                assert_eq!(claimed_ids(&claimed), ids(&messages[2..]));
                other.rollback().await.unwrap();
                let claimed = outbox.claim(oldest(10), LONG).await.unwrap();
                assert_eq!(claimed_ids(&claimed), ids(&messages[..1]));
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn many_may_make_the_tables_at_once() {
                let database = databases::$database::new().await;
                let mut opening = Vec::new();
                for _ in 0..6 {
                    let pool = database.pool().await;
                    opening.push(tokio::spawn($outbox::from_pool(pool).into_future()));
                }
                for opened in opening {
                    let outbox = opened.await.unwrap().unwrap();
                    outbox.deposit(&[some_message()], None).await.unwrap();
                }
            }

            #[tokio::test]
            async fn a_newer_schema_is_refused() {
                let database = databases::$database::new().await;
                let outbox = $outbox::from_pool(database.pool().await).await.unwrap();
                execute(&outbox, "UPDATE brighter_schema SET version = 99").await;
                let refused = $outbox::from_pool(database.pool().await).await;
                assert!(
                    matches!(
                        refused,
                        Err(OutboxError::NewerSchema {
                            found: 99,
                            known: 4
                        })
                    ),
                    "{refused:?}"
                );
            }

            #[tokio::test]
            async fn handmade_tables_with_own_names_are_used() {
                let database = databases::$database::new().await;
                let options = OutboxOptions::default().table("orders_outbox");
                let by_hand = $outbox::ddl_for(&options).unwrap();
                for _ in 0..2 {
                    let by_hand = sqlx::raw_sql(AssertSqlSafe(by_hand.clone()));
                    by_hand.execute(&database.pool().await).await.unwrap();
                }
                let orders = $outbox::from_pool(database.pool().await)
                    .options(options)
                    .await
                    .unwrap();
                let other = $outbox::from_pool(database.pool().await).await.unwrap();
                orders.deposit(&messages(10), None).await.unwrap();
                assert_eq!(count(&orders, "orders_outbox").await, 10);
                assert_eq!(count(&orders, "brighter_schema").await, 2);
                assert_eq!(other.status().await.unwrap().outstanding, 0);
                assert_eq!(orders.claim(oldest(100), LONG).await.unwrap().len(), 10);
            }

            #[tokio::test]
            async fn beyond_the_limit_nothing_is_stored() {
                let database = databases::$database::new().await;
                let limited = OutboxOptions::default().limit(3);
                let outbox = $outbox::from_pool(database.pool().await)
                    .options(limited)
                    .await
                    .unwrap();
                super::beyond_the_limit_nothing_is_stored(&outbox).await;
            }

            #[tokio::test]
            async fn an_error_tells_what_is_wrong_and_no_password() {
                let url = $url();
                let (before, host) = url.split_once('@').unwrap();
                let (user, _) = before.rsplit_once(':').unwrap();
                let wrong = $outbox::connect(&format!("{user}:s3cret@{host}"))
                    .await
                    .unwrap_err();
                assert!(matches!(wrong, OutboxError::Other(_)), "{wrong:?}");
                without_password(&wrong, "s3cret");

                // Nobody listens there.
                let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                let port = listener.local_addr().unwrap().port();
                drop(listener);
                let url = format!("{}://me:s3cret@127.0.0.1:{port}/tasks", $scheme);
                let away = $outbox::connect(&url).await.unwrap_err();
                assert!(matches!(away, OutboxError::Unavailable(_)), "{away:?}");
                without_password(&away, "s3cret");

                let url = format!("{}://me:s3cret@127.0.0.1:none/tasks", $scheme);
                let nonsense = $outbox::connect(&url).await.unwrap_err();
                without_password(&nonsense, "s3cret");
            }
        }
    };
}

tests_of_a_server!(
    postgres,
    PostgresOutbox,
    Postgres,
    databases::postgres_url,
    "postgres"
);
tests_of_a_server!(mysql, MySqlOutbox, MySql, databases::mysql_url, "mysql");

/// A connection that only reads, as one to a server that became a standby, in a pool that nothing uses but transactions of
/// the application.
macro_rules! leaves_the_pool {
    ($name:ident, $database:ident, $outbox:ident, $read_only:literal) => {
        #[tokio::test]
        async fn $name() {
            let database = databases::$database::new().await;
            let pool = database.pool().await;
            let options = pool.connect_options().as_ref().clone();
            // Of one connection, so that a transaction gets this one.
            let pool = pool.options().clone().max_connections(1);
            let pool = pool.connect_with(options).await.unwrap();
            let outbox = $outbox::from_pool(pool.clone()).await.unwrap();
            sqlx::raw_sql($read_only).execute(&pool).await.unwrap();
            let deposit = async || {
                let mut tx = pool.begin().await.unwrap();
                let done = tx.deposit(&outbox, &[some_message()]).await;
                match &done {
                    Ok(()) => tx.commit().await.unwrap(),
                    Err(_) => tx.rollback().await.unwrap(),
                }
                done
            };
            let refused = deposit().await;
            assert!(
                matches!(refused, Err(OutboxError::Standby(_))),
                "{refused:?}"
            );
            eventually("its connection has left", async || deposit().await.ok()).await;
            deposit().await.unwrap();
        }
    };
}

leaves_the_pool!(
    a_connection_of_postgres_that_only_reads_leaves_the_pool_after_a_transaction,
    Postgres,
    PostgresOutbox,
    "SET default_transaction_read_only = on"
);
leaves_the_pool!(
    a_connection_of_mysql_that_only_reads_leaves_the_pool_after_a_transaction,
    MySql,
    MySqlOutbox,
    "SET SESSION TRANSACTION READ ONLY"
);
