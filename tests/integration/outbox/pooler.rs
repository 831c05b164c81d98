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

/// That of this machine, and the newer one of another Debian, which keeps track of prepared statements. Where there is none,
/// the rig says so, and what is asked of the newer one is asked of the other once more.
#[derive(Clone, Copy)]
enum Pooler {
    OfMachine,
    Newer,
}

/// One for all tests, with fewer connections to the server than they have to it.
const CONNECTIONS: usize = 4;

impl Pooler {
    fn get(self) -> &'static PgBouncer {
        static OF_MACHINE: OnceLock<PgBouncer> = OnceLock::new();
        static NEWER: OnceLock<Option<PgBouncer>> = OnceLock::new();
        let url = databases::postgres_url;
        let of_machine = || OF_MACHINE.get_or_init(|| PgBouncer::start(&url(), CONNECTIONS).unwrap());
        match self {
            Self::OfMachine => of_machine(),
            Self::Newer => NEWER
                .get_or_init(|| PgBouncer::start_newer(&url(), CONNECTIONS).unwrap())
                .as_ref()
                .unwrap_or_else(of_machine),
        }
    }

    async fn pool(self) -> PgPool {
        let options: PgConnectOptions = self.get().url().parse().unwrap();
        // PgBouncer refuses what it does not know.
        let options = options.extra_float_digits(None);
        let pool = PgPoolOptions::new().max_connections(4);
        pool.connect_with(options).await.unwrap()
    }

    async fn outbox(self) -> (PostgresOutbox, databases::Postgres) {
        let database = databases::Postgres::new().await;
        let outbox = PostgresOutbox::from_pool(self.pool().await).options(outbox_options(&database));
        (outbox.await.unwrap(), database)
    }

    async fn inbox(self) -> (PostgresInbox, databases::Postgres) {
        let database = databases::Postgres::new().await;
        let inbox = PostgresInbox::from_pool(self.pool().await).options(inbox_options(&database));
        (inbox.await.unwrap(), database)
    }
}

fn outbox_options(database: &databases::Postgres) -> OutboxOptions {
    OutboxOptions::default().schema(&database.name).without_session()
}

fn inbox_options(database: &databases::Postgres) -> InboxOptions {
    InboxOptions::default().schema(&database.name).without_session()
}

brighter::outbox_contract!(outbox, || Pooler::OfMachine.outbox());
brighter::inbox_contract!(inbox, || Pooler::OfMachine.inbox());
brighter::outbox_contract!(outbox_newer, || Pooler::Newer.outbox());
brighter::inbox_contract!(inbox_newer, || Pooler::Newer.inbox());

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
async fn deposits_through_a_pooler_are_handled_once() {
    static HANDLED: AtomicUsize = AtomicUsize::new(0);
    handled_once(Pooler::OfMachine.get(), &HANDLED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_through_a_newer_pooler_are_handled_once() {
    static HANDLED: AtomicUsize = AtomicUsize::new(0);
    handled_once(Pooler::Newer.get(), &HANDLED).await;
}

/// Half of the orders are posted, and half deposited in transactions; a sweeper and a dispatcher run beside it.
async fn handled_once(pooler: &PgBouncer, handled: &'static AtomicUsize) {
    const ORDERS: usize = 400;
    let database = databases::Postgres::new().await;
    let outbox = PostgresOutbox::connect(pooler.url()).options(outbox_options(&database));
    let outbox = outbox.await.unwrap();
    let inbox = PostgresInbox::connect(pooler.url()).options(inbox_options(&database));
    let processor = CommandProcessor::builder()
        .handler(Count(handled))
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
    dispatcher.wait_until_consuming().await;

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
        (handled.load(Ordering::SeqCst) >= 2 * ORDERS).then_some(())
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
        pooler.version(),
        2 * ORDERS,
        handled.load(Ordering::SeqCst)
    );
    assert_eq!(handled.load(Ordering::SeqCst), 2 * ORDERS);
}

const NEVER: Duration = Duration::from_secs(3600);

/// Nothing listens: what this process stores it hears of itself, and what others have stored it finds by looking.
async fn is_woken(pooler: Pooler) {
    use brighter::channel::{Broker, Channel};

    let (outbox, database) = pooler.outbox().await;
    let sweeping = async |interval: Duration| {
        let broker = InMemoryBroker::new();
        let channel = Channel::new("all", "Order.Placed");
        broker.declare(&channel).await.unwrap();
        let processor = CommandProcessor::builder()
            .broker(broker.clone())
            .outbox(outbox.clone())
            .sweeper(Sweeper::default().interval(interval));
        (processor.build().unwrap(), broker)
    };
    let (processor, broker) = sweeping(NEVER).await;
    let deposit = async |processor: &CommandProcessor, pool: &PgPool| {
        let order = OrderPlaced { id: MessageId::new() };
        let mut tx = pool.begin().await.unwrap();
        processor.deposit_post(&mut tx, order).await.unwrap();
        tx.commit().await.unwrap();
    };
    for number in 1..=3 {
        deposit(&processor, outbox.pool()).await;
        eventually("what was stored here is sent", async || {
            (broker.messages("all").len() == number).then_some(())
        })
        .await;
    }
    let listening = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' \
        AND query LIKE '%' || CAST(to_regclass('brighter_outbox') AS oid) || '%'";
    let pool = database.pool().await;
    let listening: i64 = sqlx::query_scalar(listening).fetch_one(&pool).await.unwrap();
    assert_eq!(listening, 0, "of what would listen nobody would be told");
    processor.close().await;

    // As if in another process: an outbox of its own, and no sweeper.
    let other = PostgresOutbox::from_pool(pooler.pool().await).options(outbox_options(&database));
    let other = other.await.unwrap();
    let depositing = CommandProcessor::builder().outbox(other.clone());
    let depositing = depositing.build().unwrap();
    let (processor, broker) = sweeping(Duration::from_millis(100)).await;
    deposit(&depositing, other.pool()).await;
    eventually("what another has stored is sent", async || {
        (broker.messages("all").len() == 1).then_some(())
    })
    .await;
    processor.close().await;
}

#[tokio::test]
async fn a_sweeper_behind_it_needs_no_session_to_wake() {
    is_woken(Pooler::OfMachine).await;
}

#[tokio::test]
async fn a_sweeper_behind_a_newer_pooler_wakes_without_session() {
    is_woken(Pooler::Newer).await;
}

#[tokio::test]
async fn an_unsuitable_pooler_is_refused() {
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
