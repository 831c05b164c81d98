//! An application with a database, to be killed at any step. See `brighter_faults::books`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::time::Duration;

use brighter::inbox::complete_in;
use brighter::prelude::*;
use brighter::testing::fault_points::{Plan, pass};
use brighter::transport::rabbitmq::ExchangeKind;
use brighter::{RabbitMq, Sweeper, host};
use brighter_faults::books::{Order, Orders, Receipt, Role, Where};
use tokio::time::sleep;

/// Short, for who takes over from the dead waits until their claims have ended.
const LEASE: Duration = Duration::from_secs(1);

/// The application over one kind of database: they differ in their types only.
macro_rules! application {
    ($module:ident, $database:ty, $outbox:ident, $inbox:ident, $begin:literal, $value:literal, $($open:tt)*) => {
        mod $module {
            use brighter::{$inbox, $outbox};
            use sqlx::{Pool, Transaction};

            use super::*;

            async fn begin(pool: &Pool<$database>) -> Result<Transaction<'static, $database>, sqlx::Error> {
                pool.begin_with($begin).await
            }

            struct Deliver {
                pool: Pool<$database>,
            }

            #[handler]
            impl Handler<Order> for Deliver {
                #[use_inbox(lease = "1s", step = 1)]
                async fn handle(&self, order: &Order, cx: &Context) -> Result<(), BoxError> {
                    let mut tx = begin(&self.pool).await?;
                    pass("effect.begun").await;
                    sqlx::query(concat!("INSERT INTO effects (number) VALUES (", $value, ")"))
                        .bind(order.number)
                        .execute(&mut *tx)
                        .await?;
                    pass("effect.done").await;
                    complete_in(&mut tx, cx).await?;
                    let receipt = Receipt {
                        id: MessageId::new(),
                        number: order.number,
                    };
                    cx.deposit_post(&mut tx, receipt).await?;
                    pass("effect.commit").await;
                    tx.commit().await?;
                    pass("effect.committed").await;
                    Ok(())
                }
            }

            struct File(Pool<$database>);

            #[handler]
            impl Handler<Receipt> for File {
                #[use_inbox(lease = "1s", step = 1)]
                async fn handle(&self, receipt: &Receipt, cx: &Context) -> Result<(), BoxError> {
                    let mut tx = begin(&self.0).await?;
                    sqlx::query(concat!("INSERT INTO receipts (number) VALUES (", $value, ")"))
                        .bind(receipt.number)
                        .execute(&mut *tx)
                        .await?;
                    complete_in(&mut tx, cx).await?;
                    tx.commit().await?;
                    Ok(())
                }
            }

            /// Stores the next order, unless all are stored.
            async fn produce(pool: &Pool<$database>, processor: &CommandProcessor, total: i64) -> Result<bool, BoxError> {
                let mut tx = begin(pool).await?;
                pass("order.begun").await;
                let last: Option<i64> = sqlx::query_scalar("SELECT max(number) FROM orders")
                    .fetch_one(&mut *tx)
                    .await?;
                let number = last.unwrap_or(0) + 1;
                if number > total {
                    return Ok(false);
                }
                sqlx::query(concat!("INSERT INTO orders (number) VALUES (", $value, ")"))
                    .bind(number)
                    .execute(&mut *tx)
                    .await?;
                pass("order.stored").await;
                let order = Order {
                    id: MessageId::new(),
                    number,
                };
                let id = processor.deposit_post(&mut tx, order).await?;
                pass("order.commit").await;
                tx.commit().await?;
                pass("order.committed").await;
                // Half of them are sent at once, the others by the sweeper.
                if number % 2 == 0 {
                    processor.clear_outbox(&[id]).await?;
                }
                Ok(true)
            }

            pub(super) async fn run(orders: Orders, broker: RabbitMq, place: &str) {
                let pool = open(place).await;
                let builder = CommandProcessor::builder()
                    .broker(broker)
                    .outbox($outbox::from_pool(pool.clone()).await.expect("an outbox"))
                    .inbox($inbox::from_pool(pool.clone()).await.expect("an inbox"));
                let builder = if orders.role.is(Role::Sweeper) {
                    builder.sweeper(Sweeper::default().interval(Duration::from_millis(20)).lease(LEASE))
                } else {
                    builder.without_sweeper()
                };
                let deliver = pool.clone();
                let processor = builder
                    .handler(Deliver { pool: deliver })
                    .handler(File(pool.clone()))
                    .build()
                    .expect("the processor is put together well");
                let dispatcher = orders.role.is(Role::Consumer).then(|| {
                    let delays = [Duration::from_millis(200)];
                    Dispatcher::builder(processor.clone())
                        .subscription(
                            Subscription::<Order>::new(orders.orders.as_str())
                                .attempts(1_000)
                                .delays(delays),
                        )
                        .subscription(
                            Subscription::<Receipt>::new(orders.receipts.as_str())
                                .attempts(1_000)
                                .delays(delays),
                        )
                        .build()
                        .expect("the dispatcher is put together well")
                });
                // Before anything is sent that they are to bring.
                if let Some(dispatcher) = &dispatcher {
                    dispatcher.receive();
                    dispatcher.wait_until_consuming().await;
                }
                let producer = orders.role.is(Role::Producer).then(|| {
                    let processor = processor.clone();
                    tokio::spawn(async move {
                        // Whatever fails is tried again.
                        while produce(&pool, &processor, orders.total).await.unwrap_or(true) {
                            sleep(Duration::from_millis(orders.rest)).await;
                        }
                    })
                });
                println!("up");
                match dispatcher {
                    Some(dispatcher) => host::run(dispatcher).await.expect("it ends well"),
                    // Until it is killed.
                    None => std::future::pending().await,
                }
                drop(producer);
            }

            $($open)*
        }
    };
}

application!(
    in_sqlite,
    sqlx::Sqlite,
    SqliteOutbox,
    SqliteInbox,
    "BEGIN IMMEDIATE",
    "$1",
    async fn open(path: &str) -> Pool<sqlx::Sqlite> {
        SqliteOutbox::open(path)
            .await
            .expect("the books can be opened")
            .pool()
            .clone()
    }
);

application!(
    in_postgres,
    sqlx::Postgres,
    PostgresOutbox,
    PostgresInbox,
    "BEGIN",
    "$1",
    async fn open(url: &str) -> Pool<sqlx::Postgres> {
        brighter_faults::server::pool(url).await
    }
);

application!(
    in_mariadb,
    sqlx::MySql,
    MySqlOutbox,
    MySqlInbox,
    "START TRANSACTION",
    "?",
    async fn open(url: &str) -> Pool<sqlx::MySql> {
        brighter_faults::server::pool(url).await
    }
);

#[tokio::main]
async fn main() {
    let orders = brighter_faults::process::orders::<Orders>();
    let broker = RabbitMq::builder(&orders.url)
        .exchange(orders.exchange.as_str(), ExchangeKind::Topic)
        .connection_name(orders.name.as_str())
        .connect()
        .await
        .expect("the node answers");
    let plan = Plan::of_process().expect("it was given a plan");
    tokio::spawn(async {
        plan.stopped().await;
        println!("stopped");
    });
    match orders.books.clone() {
        Where::Sqlite(path) => {
            let path = path.to_str().expect("the path is text").to_owned();
            in_sqlite::run(orders, broker, &path).await;
        }
        Where::Postgres(url) => in_postgres::run(orders, broker, &url).await,
        Where::MariaDb(url) => in_mariadb::run(orders, broker, &url).await,
    }
    for (name, passed) in plan.passed() {
        println!("passed {name} {}", passed.times);
    }
}
