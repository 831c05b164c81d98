//! The connection to the database dies during the commit: D02. A rollback after a deposit: D10.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use brighter::channel::Broker;
use brighter::outbox::{Inspection, Outbox};
use brighter::prelude::*;
use brighter::{MySqlOutbox, PostgresOutbox, SqliteOutbox, Sweeper};
use brighter_faults::commits::{CommitProxy, Cut, Protocol};
use brighter_faults::desk::{self, Pay};
use brighter_faults::scale::report;
use brighter_faults::wait::until_answer;
use brighter_faults::{capture, mariadb, postgres, server};
use sqlx::{MySqlPool, PgPool};

/// Pays twice, and the connection dies in both commits. `numbers` are what a query finds in the books.
async fn one_effect(
    kind: Protocol,
    proxy: &CommitProxy,
    broker: &InMemoryBroker,
    dispatcher: &Dispatcher,
    numbers: impl AsyncFn(&'static str) -> Vec<i64>,
) {
    for (number, cut) in [(1, Cut::BeforeTheServer), (2, Cut::BeforeTheAnswer)] {
        proxy.cut_next(cut);
        dispatcher.processor().post(Pay::new(number)).await.unwrap();
        until_answer("commits cut", number, async || {
            i64::try_from(proxy.cut()).unwrap_or(0)
        })
        .await;
        until_answer("effects", (1..=number).collect::<Vec<_>>(), async || {
            numbers(desk::SELECT).await
        })
        .await;
        // The inbox tells the truth, so it comes again and is dropped, or is done; in no case is it handled again.
        until_answer("done in the inbox", vec![number], async || {
            numbers("SELECT count(*) FROM brighter_inbox WHERE done = 1").await
        })
        .await;
        report("D02", format_args!("{kind:?}, cut {cut:?}: one effect"));
    }
    // The last is done once its commit is, and comes once more after that: its handler was told of a failure. So this
    // is waited for, and not looked at after the end, when it may just have come back.
    until_answer("what is left", 0, async || {
        let performers = dispatcher
            .status()
            .into_iter()
            .flat_map(|status| status.performers);
        let in_hand: usize = performers.map(|performer| performer.in_hand.len()).sum();
        broker.messages(desk::CHANNEL).len() + in_hand
    })
    .await;
    dispatcher.end().await;
    dispatcher.processor().close().await;
    assert_eq!(numbers(desk::SELECT).await, [1, 2]);
    assert!(broker.messages(format!("{}.dlq", desk::CHANNEL)).is_empty());
    capture::assert_no_password();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d02_a_connection_lost_during_commit_leaves_one_effect() {
    capture::begin();
    let (server, broker) = (postgres::shared().await, InMemoryBroker::new());
    let database = server.database().await;
    let books: PgPool = server::pool(&server.url(&database)).await;
    let proxy = CommitProxy::start(Protocol::Postgres, server.address()).await;
    let pool = server::pool(&server.url_at(proxy.address(), &database)).await;
    let dispatcher = desk::in_postgres(broker.clone(), &pool).await;
    one_effect(Protocol::Postgres, &proxy, &broker, &dispatcher, async |query| {
        sqlx::query_scalar(query).fetch_all(&books).await.unwrap()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d02_mariadb_connection_lost_during_commit_leaves_one_effect() {
    capture::begin();
    let (server, broker) = (mariadb::shared().await, InMemoryBroker::new());
    let database = server.database().await;
    let books: MySqlPool = server::pool(&server.url(&database)).await;
    let proxy = CommitProxy::start(Protocol::MySql, server.address()).await;
    let pool = server::pool(&server.url_at(proxy.address(), &database)).await;
    let dispatcher = desk::in_mariadb(broker.clone(), &pool).await;
    one_effect(Protocol::MySql, &proxy, &broker, &dispatcher, async |query| {
        sqlx::query_scalar(query).fetch_all(&books).await.unwrap()
    })
    .await;
}

/// What a caller is to do who was told that nobody knows: ask again, with the same id.
async fn made_again(
    proxy: &CommitProxy,
    outbox: &impl Outbox,
    deposit: impl AsyncFn(Pay) -> Result<(), BoxError>,
) {
    for (stored, cut) in [(1, Cut::BeforeTheServer), (2, Cut::BeforeTheAnswer)] {
        let pay = Pay::new(1);
        proxy.cut_next(cut);
        let mut failures = 0;
        while deposit(pay.clone()).await.is_err() {
            failures += 1;
            assert!(failures < 5, "it never works");
        }
        assert_eq!(failures, 1, "{cut:?}");
        assert_eq!(outbox.status().await.unwrap().outstanding, stored, "{cut:?}");
    }
}

/// Deposits in a transaction of a pool whose connections go through the proxy.
macro_rules! made_again {
    ($pool:expr, $proxy:expr, $outbox:ident) => {
        let pool = $pool;
        let outbox = $outbox::from_pool(pool.clone()).await.unwrap();
        let processor = CommandProcessor::builder()
            .outbox(outbox.clone())
            .build()
            .unwrap();
        made_again($proxy, &outbox, async |pay| {
            let mut tx = pool.begin().await?;
            processor.deposit_post(&mut tx, pay).await?;
            Ok(tx.commit().await?)
        })
        .await;
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d02_a_deposit_with_unknown_commit_may_be_repeated() {
    let server = postgres::shared().await;
    let proxy = CommitProxy::start(Protocol::Postgres, server.address()).await;
    let url = server.url_at(proxy.address(), &server.database().await);
    made_again!(server::pool(&url).await, &proxy, PostgresOutbox);
    let server = mariadb::shared().await;
    let proxy = CommitProxy::start(Protocol::MySql, server.address()).await;
    let url = server.url_at(proxy.address(), &server.database().await);
    made_again!(server::pool(&url).await, &proxy, MySqlOutbox);
}

/// Pays with `#[transactional]` while the connection dies in a commit. The caller is told of nothing: the key of the request
/// in the inbox tells what became of the commit, and the handler is called again only if it came to nothing.
macro_rules! transactional {
    ($kind:expr, $server:expr, $books:ty, $transaction:ty, $outbox:ident, $inbox:ident, $insert:expr) => {{
        struct Desk(Arc<AtomicU32>);

        #[handler]
        impl Handler<Pay> for Desk {
            #[transactional(step = 1)]
            async fn handle(&self, pay: &Pay, tx: &mut $transaction) -> Result<(), BoxError> {
                self.0.fetch_add(1, Ordering::SeqCst);
                sqlx::query($insert).bind(pay.amount).execute(&mut **tx).await?;
                Ok(())
            }
        }

        capture::begin();
        let server = $server;
        let database = server.database().await;
        let books: $books = server::pool(&server.url(&database)).await;
        sqlx::raw_sql(desk::TABLE).execute(&books).await.unwrap();
        let proxy = CommitProxy::start($kind, server.address()).await;
        let pool: $books = server::pool(&server.url_at(proxy.address(), &database)).await;
        let calls = Arc::new(AtomicU32::new(0));
        let processor = CommandProcessor::builder()
            .outbox($outbox::from_pool(pool.clone()).await.unwrap())
            .inbox(brighter::$inbox::from_pool(pool.clone()).await.unwrap())
            .handler(Desk(Arc::clone(&calls)))
            .build()
            .unwrap();
        for (number, cut, wanted) in [(1, Cut::BeforeTheServer, 2), (2, Cut::BeforeTheAnswer, 3)] {
            let pay = Pay::new(number);
            proxy.cut_next(cut);
            processor.send(pay.clone()).await.unwrap();
            assert_eq!(proxy.cut(), usize::try_from(number).unwrap(), "{cut:?}");
            assert_eq!(calls.load(Ordering::SeqCst), wanted, "{cut:?}");
            // The next delivery is a duplicate.
            processor.send(pay).await.unwrap();
            assert_eq!(calls.load(Ordering::SeqCst), wanted, "{cut:?}");
            let paid: Vec<i64> = sqlx::query_scalar(desk::SELECT).fetch_all(&books).await.unwrap();
            assert_eq!(paid, (1..=number).collect::<Vec<_>>(), "{cut:?}");
            report(
                "D02",
                format_args!("{:?}, `#[transactional]`, cut {cut:?}: one effect", $kind),
            );
        }
        processor.close().await;
        capture::assert_no_password();
    }};
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d02_a_transactional_commit_is_asked_by_its_key() {
    transactional!(
        Protocol::Postgres,
        postgres::shared().await,
        PgPool,
        sqlx::PgTransaction<'_>,
        PostgresOutbox,
        PostgresInbox,
        desk::INSERT
    );
    transactional!(
        Protocol::MySql,
        mariadb::shared().await,
        MySqlPool,
        sqlx::MySqlTransaction<'_>,
        MySqlOutbox,
        MySqlInbox,
        "INSERT INTO paid (amount) VALUES (?)"
    );
}

/// Deposits, rolls back, and looks whether anything is left.
macro_rules! rolled_back {
    ($pool:expr, $outbox:ident) => {
        let pool = $pool;
        let outbox = $outbox::from_pool(pool.clone()).await.unwrap();
        let (broker, sweeper) = (InMemoryBroker::new(), Sweeper::default());
        broker
            .declare(&brighter::channel::Channel::new("all", "Desk.Pay"))
            .await
            .unwrap();
        let processor = CommandProcessor::builder()
            .broker(broker.clone())
            .outbox(outbox.clone())
            .sweeper(sweeper.interval(Duration::from_millis(10)))
            .build()
            .unwrap();
        let (rolled_back, dropped, committed) = (Pay::new(1), Pay::new(2), Pay::new(3));
        let mut tx = pool.begin().await.unwrap();
        processor
            .deposit_post(&mut tx, rolled_back.clone())
            .await
            .unwrap();
        tx.rollback().await.unwrap();
        let mut tx = pool.begin().await.unwrap();
        processor.deposit_posts(&mut tx, [dropped.clone()]).await.unwrap();
        drop(tx);
        let mut tx = pool.begin().await.unwrap();
        processor.deposit_post(&mut tx, committed.clone()).await.unwrap();
        tx.commit().await.unwrap();
        // What came later is sent, so what came before would have been.
        until_answer("messages", vec![committed.id.clone()], async || {
            let messages = broker.messages("all").into_iter();
            messages.map(|message| message.header.id).collect::<Vec<_>>()
        })
        .await;
        for pay in [rolled_back, dropped] {
            assert_eq!(outbox.state(&pay.id).await.unwrap(), None);
        }
        processor.close().await;
        broker.close().await;
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d10_after_a_rollback_nothing_is_stored_and_nothing_sent() {
    let folder = tempfile::tempdir().unwrap();
    let file = SqliteOutbox::open(folder.path().join("d10.db")).await.unwrap();
    rolled_back!(file.pool().clone(), SqliteOutbox);
    let server = postgres::shared().await;
    let url = server.url(&server.database().await);
    rolled_back!(server::pool(&url).await, PostgresOutbox);
    let server = mariadb::shared().await;
    let url = server.url(&server.database().await);
    rolled_back!(server::pool(&url).await, MySqlOutbox);
}
