//! A MariaDB becomes read-only and another takes over, and back; then it is shut down under posts: D09.

use brighter::MySqlOutbox;
use brighter::outbox::OutboxError;
use brighter::processor::PostError;
use brighter_faults::desk::Pay;
use brighter_faults::mariadb::MariaDb;
use brighter_faults::scale::report;
use brighter_faults::server;
use brighter_faults::wait::{deadline, until_answer};
use brighter_faults::way::Way;
use sqlx::mysql::MySqlRow;
use sqlx::{Connection, MySqlConnection, Row};

use crate::d_posting::PostingApp;

type App = PostingApp<sqlx::MySql, MySqlOutbox>;

/// A user who may not write to a server that is read-only, as the one that the tests have may.
const USERS: &str = "CREATE DATABASE shop; \
    CREATE USER 'app'@'127.0.0.1' IDENTIFIED BY 'of-the-app'; \
    GRANT ALL PRIVILEGES ON shop.* TO 'app'@'127.0.0.1'";
const SHOP: &str = "shop";

fn url(address: &str) -> String {
    format!("mysql://app:of-the-app@{address}/{SHOP}?ssl-mode=disabled")
}

async fn ask(server: &MariaDb, question: &'static str) -> Vec<MySqlRow> {
    let mut connection = MySqlConnection::connect(&server.url("mysql")).await.unwrap();
    sqlx::raw_sql(question).fetch_all(&mut connection).await.unwrap()
}

async fn count(server: &MariaDb, question: &'static str) -> usize {
    let count: i64 = ask(server, question).await[0].get(0);
    usize::try_from(count).unwrap()
}

async fn rows(server: &MariaDb) -> usize {
    count(server, "SELECT count(*) FROM shop.brighter_outbox").await
}

/// How many connections of the application lead there.
async fn connections(server: &MariaDb) -> usize {
    let question = "SELECT count(*) FROM information_schema.processlist WHERE user = 'app'";
    count(server, question).await
}

/// A server with tables, to write to or to read from.
async fn server_for_app() -> MariaDb {
    let server = MariaDb::start().await;
    ask(&server, USERS).await;
    let outbox = MySqlOutbox::connect(url(&server.address())).await.unwrap();
    outbox.pool().close().await;
    server
}

/// What became of posts.
#[derive(Default)]
struct Posted {
    accepted: usize,
    refused: Vec<OutboxError>,
    /// Transactions that could not even begin or commit.
    lost: usize,
}

impl App {
    async fn post(&self, posts: i64) -> Posted {
        let mut posted = Posted::default();
        for number in 0..posts {
            if number % 2 == 0 {
                match self.processor.post(Pay::new(number)).await {
                    Ok(_) => posted.accepted += 1,
                    Err(PostError::Outbox(error)) => posted.refused.push(error),
                    Err(other) => panic!("{other:?}"),
                }
                continue;
            }
            let Ok(mut tx) = self.pool.begin().await else {
                posted.lost += 1;
                continue;
            };
            let pay = Pay::new(number);
            match self.depositing.deposit_post(&mut tx, pay).await {
                Ok(_) if tx.commit().await.is_ok() => posted.accepted += 1,
                Ok(_) => posted.lost += 1,
                Err(PostError::Outbox(error)) => posted.refused.push(error),
                Err(other) => panic!("{other:?}"),
            }
        }
        posted
    }

    /// Fences one server while every connection to it stays, and leads new ones to the other. Returns how many posts were
    /// accepted meanwhile, and how many refused after the mend.
    async fn fails_over(&self, from: &MariaDb, to: &MariaDb, way: &Way) -> (usize, usize) {
        ask(from, "SET GLOBAL read_only = 1").await;
        until_answer("posts to be refused", true, async || {
            let posted = self.post(8).await;
            let is_standby = |error: &OutboxError| matches!(error, OutboxError::Standby(_));
            assert!(posted.refused.iter().all(is_standby), "{:?}", posted.refused);
            posted.refused.len() == 8
        })
        .await;
        ask(to, "SET GLOBAL read_only = 0").await;
        way.turn_to(to.address());
        let (mut accepted, mut refused) = (0, 0);
        until_answer("no connection to the old one to be left", 0, async || {
            let posted = self.post(20).await;
            accepted += posted.accepted;
            refused += posted.refused.len();
            connections(from).await
        })
        .await;
        let posted = self.post(100).await;
        assert!(posted.refused.is_empty(), "{:?}", posted.refused);
        assert_eq!(posted.lost, 0);
        (accepted + posted.accepted, refused)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d09_stale_mariadb_connections_are_closed() {
    let (one, other) = (server_for_app().await, server_for_app().await);
    let way = Way::to(one.address()).await;
    let pool = || async { server::pool::<sqlx::MySql>(&url(way.address())).await };
    let outbox = MySqlOutbox::from_pool(pool().await).await.unwrap();
    let pool = pool().await;
    let depositing = MySqlOutbox::from_pool(pool.clone()).await.unwrap();
    let app = App::start(outbox, pool, depositing).await;
    let before = app.post(100).await;
    assert_eq!(before.accepted, 100, "{:?}", before.refused);
    app.until_sent(100).await;
    app.until_marked().await;

    let (there, refused_there) = app.fails_over(&one, &other, &way).await;
    let on_one = rows(&one).await;
    assert_eq!(rows(&other).await, there, "what was accepted is on the new one");
    app.until_marked().await;
    let (back, refused_back) = app.fails_over(&other, &one, &way).await;
    assert_eq!(rows(&one).await, on_one + back);

    // The server is shut down under posts: "server is shutting down", and connections that are lost.
    let shutting = async {
        one.stop().await;
        one.start_again().await;
    };
    let posting = async {
        let mut all = Posted::default();
        let begun = std::time::Instant::now();
        let mut was_refused = false;
        // Until it is well again after it was not.
        while begun.elapsed() < deadline() {
            let posted = app.post(4).await;
            let is_well = posted.accepted == 4;
            was_refused |= !is_well;
            all.accepted += posted.accepted;
            all.lost += posted.lost;
            all.refused.extend(posted.refused);
            if is_well && was_refused {
                break;
            }
        }
        all
    };
    let ((), shut) = tokio::join!(shutting, posting);
    let is_away = |error: &OutboxError| matches!(error, OutboxError::Unavailable(_));
    assert!(shut.refused.iter().all(is_away), "{:?}", shut.refused);
    assert!(!shut.refused.is_empty());
    let after = app.post(40).await;
    assert_eq!(after.accepted, 40, "{:?}", after.refused);
    // A commit whose answer was lost may have stored its message or not.
    let stored = rows(&one).await;
    let known = on_one + back + shut.accepted + after.accepted;
    assert!((known..=known + shut.lost).contains(&stored), "{known} {stored}");
    let all = there + stored;
    app.until_sent(all).await;
    app.until_marked().await;
    report(
        "D09",
        format_args!(
            "refused after the mend {refused_there} and back {refused_back}; while shut down {} as away; \
             {all} deposited and sent",
            shut.refused.len()
        ),
    );
    app.processor.close().await;
}
