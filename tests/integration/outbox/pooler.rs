//! PostgreSQL by way of PgBouncer in transaction mode: no connection is a session.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brighter::outbox::Outbox;
use brighter::prelude::*;
use brighter::store::{InboxOptions, OutboxOptions};
use brighter::testing::eventually;
use brighter::{PostgresInbox, PostgresOutbox, Sweeper};
use brighter_test_servers::PgBouncer;
use brighter_tests::databases;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};

brighter::outbox_contract!(outbox, outbox_behind_it);
brighter::inbox_contract!(inbox, inbox_behind_it);

/// One for all tests, with fewer connections to the server than they have to it.
fn pgbouncer() -> &'static PgBouncer {
    static SHARED: OnceLock<PgBouncer> = OnceLock::new();
    SHARED.get_or_init(|| PgBouncer::start(&databases::postgres_url(), 4).unwrap())
}

async fn pool() -> PgPool {
    let options: PgConnectOptions = pgbouncer().url().parse().unwrap();
    // PgBouncer refuses what it does not know.
    let options = options.extra_float_digits(None);
    let pool = PgPoolOptions::new().max_connections(4);
    pool.connect_with(options).await.unwrap()
}

fn outbox_options(database: &databases::Postgres) -> OutboxOptions {
    OutboxOptions::default().schema(&database.name).without_session()
}

fn inbox_options(database: &databases::Postgres) -> InboxOptions {
    InboxOptions::default().schema(&database.name).without_session()
}

async fn outbox_behind_it() -> (PostgresOutbox, databases::Postgres) {
    let database = databases::Postgres::new().await;
    let outbox = PostgresOutbox::from_pool(pool().await).options(outbox_options(&database));
    (outbox.await.unwrap(), database)
}

async fn inbox_behind_it() -> (PostgresInbox, databases::Postgres) {
    let database = databases::Postgres::new().await;
    let inbox = PostgresInbox::from_pool(pool().await).options(inbox_options(&database));
    (inbox.await.unwrap(), database)
}

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Order.Placed", kind = "event")]
struct OrderPlaced {
    id: MessageId,
}

struct Count(&'static AtomicUsize);

#[handler]
impl Handler<OrderPlaced> for Count {
    #[use_inbox(step = 1)]
    async fn handle(&self, _: &OrderPlaced) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deposited_by_way_of_it_is_handled_once() {
    static HANDLED: AtomicUsize = AtomicUsize::new(0);
    const ORDERS: usize = 400;
    let database = databases::Postgres::new().await;
    let outbox = PostgresOutbox::connect(pgbouncer().url()).options(outbox_options(&database));
    let outbox = outbox.await.unwrap();
    let inbox = PostgresInbox::connect(pgbouncer().url()).options(inbox_options(&database));
    let processor = CommandProcessor::builder()
        .handler(Count(&HANDLED))
        .broker(InMemoryBroker::new())
        .outbox(outbox.clone())
        .inbox(inbox.await.unwrap())
        .sweeper(Sweeper::default().interval(Duration::from_millis(200)))
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(Subscription::<OrderPlaced>::new("orders").concurrency(8))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.consuming().await;

    let table = format!("CREATE TABLE {}.orders (id text)", database.name);
    sqlx::raw_sql(AssertSqlSafe(table))
        .execute(outbox.pool())
        .await
        .unwrap();
    let insert = format!("INSERT INTO {}.orders VALUES ($1)", database.name);
    let orders = (0..ORDERS).map(|_| {
        let (processor, pool, insert) = (processor.clone(), outbox.pool().clone(), insert.clone());
        async move {
            let order = OrderPlaced { id: MessageId::new() };
            let mut tx = pool.begin().await.unwrap();
            let insert = sqlx::query(AssertSqlSafe(insert)).bind(order.id.to_string());
            insert.persistent(false).execute(&mut *tx).await.unwrap();
            processor.deposit_post(&mut tx, order).await.unwrap();
            tx.commit().await.unwrap();
        }
    });
    let posts = (0..ORDERS).map(|_| processor.post(OrderPlaced { id: MessageId::new() }).into_future());
    // As many at once as there are connections: the machine may be slow.
    let posts = stream::iter(posts).buffer_unordered(8).for_each(async |post| {
        post.unwrap();
    });
    let orders = stream::iter(orders).buffer_unordered(8).for_each(async |()| {});
    futures_util::future::join(posts, orders).await;
    eventually("all are handled", async || {
        (HANDLED.load(Ordering::SeqCst) >= 2 * ORDERS).then_some(())
    })
    .await;
    eventually("all are marked", async || {
        (outbox.status().await.unwrap().outstanding == 0).then_some(())
    })
    .await;
    dispatcher.end().await;
    processor.close().await;
    println!(
        "{}: {} deposited, {} handled",
        pgbouncer().version(),
        2 * ORDERS,
        HANDLED.load(Ordering::SeqCst)
    );
    assert_eq!(HANDLED.load(Ordering::SeqCst), 2 * ORDERS);
}

#[tokio::test]
async fn where_there_is_no_pooler_to_speak_of_it_is_refused() {
    use brighter::inbox::InboxError;
    use brighter::outbox::OutboxError;
    use brighter::{MySqlOutbox, SqliteInbox, SqliteOutbox};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.db");
    let options = OutboxOptions::default().without_session();
    let refused = SqliteOutbox::open(&path).options(options.clone()).await;
    assert!(matches!(refused, Err(OutboxError::Unsupported(_))), "{refused:?}");
    let refused = MySqlOutbox::connect(databases::mysql_url())
        .options(options)
        .await;
    assert!(matches!(refused, Err(OutboxError::Unsupported(_))), "{refused:?}");
    let options = InboxOptions::default().without_session();
    let refused = SqliteInbox::open(&path).options(options).await;
    assert!(matches!(refused, Err(InboxError::Unsupported(_))), "{refused:?}");
}
