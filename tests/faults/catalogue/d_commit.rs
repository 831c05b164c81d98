//! The connection to the database dies during the commit: D02. A rollback after a deposit: D10.

use std::time::Duration;

use brighter::channel::Broker;
use brighter::outbox::Outbox;
use brighter::prelude::*;
use brighter::{PostgresOutbox, SqliteOutbox, Sweeper};
use brighter_faults::commits::{CommitProxy, Cut};
use brighter_faults::desk::{self, Pay};
use brighter_faults::scale::report;
use brighter_faults::wait::until_answer;
use brighter_faults::{capture, postgres};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d02_a_connection_that_dies_during_the_commit_of_a_handler_leaves_one_effect() {
    capture::begin();
    let server = postgres::shared().await;
    let database = server.database().await;
    let books = postgres::pool(&server.url(&database)).await;
    let proxy = CommitProxy::start(server.address()).await;
    let pool = postgres::pool(&server.url_at(proxy.address(), &database)).await;
    let broker = InMemoryBroker::new();
    let dispatcher = desk::in_postgres(broker.clone(), &pool).await;
    for (number, cut) in [(1, Cut::BeforeTheServer), (2, Cut::BeforeTheAnswer)] {
        proxy.cut_next(cut);
        dispatcher.processor().post(Pay::new(number)).await.unwrap();
        until_answer("commits cut", number, async || {
            i64::try_from(proxy.cut()).unwrap_or(0)
        })
        .await;
        until_answer("effects", (1..=number).collect::<Vec<_>>(), async || {
            sqlx::query_scalar(desk::SELECT).fetch_all(&books).await.unwrap()
        })
        .await;
        // The inbox tells the truth, so it comes again and is dropped, or is done; in no case is it handled again.
        until_answer("done in the inbox", number, async || {
            let count = "SELECT count(*) FROM brighter_inbox WHERE done = 1";
            sqlx::query_scalar::<_, i64>(count)
                .fetch_one(&books)
                .await
                .unwrap()
        })
        .await;
        report("D02", format_args!("cut {cut:?}: one effect"));
    }
    dispatcher.end().await;
    dispatcher.processor().close().await;
    let effects: Vec<i64> = sqlx::query_scalar(desk::SELECT).fetch_all(&books).await.unwrap();
    assert_eq!(effects, [1, 2]);
    assert!(broker.messages(desk::CHANNEL).is_empty(), "nothing is left");
    assert!(broker.messages(format!("{}.dlq", desk::CHANNEL)).is_empty());
    capture::assert_no_password();
}

/// What a caller is to do who was told that nobody knows: ask again, with the same id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d02_a_deposit_whose_commit_nobody_can_tell_of_is_right_to_be_made_again() {
    let server = postgres::shared().await;
    let database = server.database().await;
    let proxy = CommitProxy::start(server.address()).await;
    let pool = postgres::pool(&server.url_at(proxy.address(), &database)).await;
    let outbox = PostgresOutbox::with_pool(pool.clone()).await.unwrap();
    let processor = CommandProcessor::builder()
        .outbox(outbox.clone())
        .build()
        .unwrap();
    for (stored, cut) in [(1, Cut::BeforeTheServer), (2, Cut::BeforeTheAnswer)] {
        let pay = Pay::new(1);
        proxy.cut_next(cut);
        let mut failures = 0;
        loop {
            let deposited = async {
                let mut tx = pool.begin().await?;
                processor.deposit_post(&mut tx, pay.clone()).await?;
                tx.commit().await?;
                Ok::<_, BoxError>(())
            };
            if deposited.await.is_ok() {
                break;
            }
            failures += 1;
            assert!(failures < 5, "it never works");
        }
        assert_eq!(failures, 1, "{cut:?}");
        assert_eq!(outbox.status().await.unwrap().outstanding, stored, "{cut:?}");
    }
}

/// Deposits, rolls back, and looks whether anything is left.
macro_rules! rolled_back {
    ($pool:expr, $outbox:ident) => {
        let pool = $pool;
        let outbox = $outbox::with_pool(pool.clone()).await.unwrap();
        let (broker, sweeper) = (InMemoryBroker::new(), Sweeper::default());
        broker
            .declare(&brighter::channel::Channel::new("all", "Desk.Pay"))
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
    rolled_back!(postgres::pool(&url).await, PostgresOutbox);
}
