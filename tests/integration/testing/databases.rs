//! Handlers with a transaction of their own, in the application's database, tested with `TestApp`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use brighter::inbox::complete_in;
use brighter::prelude::*;
use brighter::testing::{PublishFault, TestApp, TestAppBuilder};
use brighter::{
    MessageId, MySqlInbox, MySqlOutbox, PostgresInbox, PostgresOutbox, SqliteInbox, SqliteOutbox,
};
use brighter_tests::databases;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Shop.TakePayment")]
struct TakePayment {
    id: MessageId,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
#[message(topic = "Shop.PaymentTaken", kind = "event")]
struct PaymentTaken {
    of: MessageId,
}

struct Ships;

#[handler]
impl Handler<PaymentTaken> for Ships {
    async fn handle(&self, _: &PaymentTaken) -> Result<(), std::convert::Infallible> {
        Ok(())
    }
}

fn payment() -> TakePayment {
    TakePayment { id: MessageId::new() }
}

fn subscribed(app: TestAppBuilder) -> TestAppBuilder {
    app.dispatcher(|it| {
        let payments = Subscription::<TakePayment>::new("payments");
        it.subscription(payments.attempts(2).delays([Duration::from_millis(1)]))
            .subscription(Subscription::<PaymentTaken>::new("shipping"))
    })
}

/// A database in memory is one connection, which stays.
async fn in_memory(_: &()) -> SqlitePool {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None);
    pool.connect("sqlite::memory:").await.unwrap()
}

macro_rules! shop_in {
    ($module:ident, $outbox:ident, $inbox:ident, $pool:ty, $database:expr, $pool_of:expr) => {
        mod $module {
            use super::*;

            /// Takes a payment exactly once: the row, the key of the request and the message are one transaction.
            struct Takes {
                pool: $pool,
                fails_once: Arc<AtomicBool>,
            }

            #[handler]
            impl Handler<TakePayment> for Takes {
                #[use_inbox(step = 1)]
                async fn handle(&self, payment: &TakePayment, cx: &Context) -> Result<(), BoxError> {
                    let mut tx = self.pool.begin().await?;
                    sqlx::query("INSERT INTO payments (cents) VALUES (250)")
                        .execute(&mut *tx)
                        .await?;
                    complete_in(&mut tx, cx).await?;
                    cx.deposit_post(
                        &mut tx,
                        PaymentTaken {
                            of: payment.id.clone(),
                        },
                    )
                    .await?;
                    if self.fails_once.swap(false, Ordering::Relaxed) {
                        return Err("the bank is away".into());
                    }
                    tx.commit().await?;
                    Ok(())
                }
            }

            async fn payments(pool: &$pool) -> i64 {
                let count = sqlx::query_scalar("SELECT count(*) FROM payments");
                count.fetch_one(pool).await.unwrap()
            }

            async fn made(pool: &$pool) {
                sqlx::query("CREATE TABLE payments (cents BIGINT NOT NULL)")
                    .execute(pool)
                    .await
                    .unwrap();
            }

            /// As the application's own `main` does.
            async fn shop(pool: &$pool, fails_once: bool) -> TestAppBuilder {
                made(pool).await;
                let takes = Takes {
                    pool: pool.clone(),
                    fails_once: Arc::new(fails_once.into()),
                };
                let outbox = $outbox::from_pool(pool.clone()).await.unwrap();
                let inbox = $inbox::from_pool(pool.clone()).await.unwrap();
                subscribed(
                    TestApp::builder()
                        .processor(|it| it.handler(takes).handler(Ships).outbox(outbox).inbox(inbox)),
                )
            }

            #[tokio::test]
            async fn a_payment_that_comes_twice_is_taken_once() {
                let database = $database.await;
                let pool: $pool = $pool_of(&database).await;
                let app = shop(&pool, false).await.start().await;
                let payment = payment();
                app.broker().next_publishes([PublishFault::Duplicate]);
                app.when_posted(payment.clone()).await;
                app.then()
                    .handled_by::<Takes>(2)
                    .posted::<PaymentTaken>(1)
                    .handled_by::<Ships>(1)
                    .nothing_else();
                assert_eq!(payments(&pool).await, 1);
                assert_eq!(
                    app.posted::<PaymentTaken>(),
                    [PaymentTaken { of: payment.id }]
                );
                assert_eq!(app.outbox().status().await.unwrap().outstanding, 0);
                app.end().await;
            }

            #[tokio::test]
            async fn a_rollback_neither_pays_nor_posts() {
                let database = $database.await;
                let pool: $pool = $pool_of(&database).await;
                let app = shop(&pool, true).await.start().await;
                app.when_posted(payment()).await;
                app.then()
                    .failed::<Takes>(1)
                    .deferred::<TakePayment>(Duration::from_millis(1))
                    .handled_by::<Takes>(1)
                    .posted::<PaymentTaken>(1)
                    .handled_by::<Ships>(1)
                    .nothing_else();
                assert_eq!(payments(&pool).await, 1);
                app.end().await;
            }

            /// It would fail at every attempt, and be a dead letter at last.
            #[tokio::test]
            #[should_panic(expected = "Takes fails however often it is called: the transaction belongs to a")]
            async fn a_mismatched_inbox_ends_the_test_with_the_cause() {
                let database = $database.await;
                let pool: $pool = $pool_of(&database).await;
                made(&pool).await;
                let takes = Takes {
                    pool: pool.clone(),
                    fails_once: Arc::default(),
                };
                let app = TestApp::builder()
                    .processor(|it| it.handler(takes).handler(Ships).inbox(InMemoryInbox::new()));
                let app = subscribed(app).start().await;
                app.when_posted(payment()).await;
            }
        }
    };
}

shop_in!(sqlite, SqliteOutbox, SqliteInbox, SqlitePool, async {}, in_memory);
shop_in!(
    postgres,
    PostgresOutbox,
    PostgresInbox,
    sqlx::PgPool,
    databases::Postgres::new(),
    databases::Postgres::pool
);
shop_in!(
    mysql,
    MySqlOutbox,
    MySqlInbox,
    sqlx::MySqlPool,
    databases::MySql::new(),
    databases::MySql::pool
);

struct Deposits(SqlitePool);

#[handler]
impl Handler<TakePayment> for Deposits {
    async fn handle(&self, payment: &TakePayment, cx: &Context) -> Result<(), BoxError> {
        let mut tx = self.0.begin().await?;
        cx.deposit_post(
            &mut tx,
            PaymentTaken {
                of: payment.id.clone(),
            },
        )
        .await?;
        tx.commit().await?;
        Ok(())
    }
}

#[tokio::test]
#[should_panic(expected = "Deposits fails however often it is called: the transaction is of a `")]
async fn a_mismatched_outbox_ends_the_test_with_the_cause() {
    let pool = in_memory(&()).await;
    let app = TestApp::builder().processor(|it| it.handler(Deposits(pool)).handler(Ships));
    let app = subscribed(app).start().await;
    app.when_posted(payment()).await;
}

#[tokio::test]
#[should_panic(expected = "the outbox is in a database, which tokio's paused clock does not wait for")]
async fn a_database_with_a_paused_clock_is_reported_at_start() {
    let outbox = SqliteOutbox::from_pool(in_memory(&()).await).await.unwrap();
    tokio::time::pause();
    TestApp::builder().outbox(outbox).start().await;
}

/// What the sweeper of another process would send is not what the test waits for.
#[tokio::test]
async fn earlier_dead_letters_do_not_count() {
    let pool = in_memory(&()).await;
    let outbox = SqliteOutbox::from_pool(pool.clone()).await.unwrap();
    let start = || async {
        let app = TestApp::builder()
            .outbox(outbox.clone())
            .processor(|it| it.handler(Ships));
        let shipping = Subscription::<PaymentTaken>::new("shipping");
        app.dispatcher(|it| it.subscription(shipping)).start().await
    };
    let app = start().await;
    app.broker().every_publish(Some(PublishFault::Refuse));
    let of = MessageId::new();
    app.processor()
        .post(PaymentTaken { of: of.clone() })
        .await
        .unwrap_err();
    app.settled().await;
    app.then()
        .not_published::<PaymentTaken>("told to refuse")
        .nothing_else();
    app.end().await;
    sqlx::query("UPDATE brighter_outbox SET outstanding = 2")
        .execute(&pool)
        .await
        .unwrap();

    let app = start().await;
    assert_eq!(app.outbox().status().await.unwrap().dead, 1);
    app.when_posted(PaymentTaken { of }).await;
    app.then().handled_by::<Ships>(1).nothing_else();
    app.broker().every_publish(Some(PublishFault::Refuse));
    app.processor()
        .post(PaymentTaken { of: MessageId::new() })
        .await
        .unwrap_err();
    app.settled().await;
    app.end().await;
}
