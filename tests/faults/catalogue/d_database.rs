//! The database is full, read-only, locked, gone, or has no room for us: D06, D07.

use std::path::Path;
use std::time::Duration;

use brighter::channel::Producer;
use brighter::message::MessageBody;
use brighter::outbox::{Outbox, OutboxError};
use brighter::prelude::*;
use brighter::{Message, SqliteOutbox};
use brighter_faults::desk::{self, CHANNEL, Pay};
use brighter_faults::mariadb::MariaDb;
use brighter_faults::postgres::{self, Postgres};
use brighter_faults::scale::{report, size};
use brighter_faults::wait::until_answer;
use brighter_faults::{capture, place, server};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{Connection, MySqlConnection, PgConnection, SqlitePool};

/// Gives and counts what a dispatcher has to do.
struct Work {
    broker: InMemoryBroker,
    dispatcher: Dispatcher,
    given: i64,
    /// The last that was given.
    last: String,
}

impl Work {
    fn new(broker: InMemoryBroker, dispatcher: Dispatcher) -> Self {
        Self {
            broker,
            dispatcher,
            given: 0,
            last: String::new(),
        }
    }

    async fn give(&mut self, messages: i64) {
        for _ in 0..messages {
            self.given += 1;
            let pay = Pay::new(self.given);
            self.broker.publish(&message(&pay)).await.unwrap();
            self.last = pay.id.to_string();
        }
    }

    /// Waits until the pump has said that it could not go on with the last that was given.
    async fn came_again(&self) {
        until_answer("the last message to come again", true, async || {
            !capture::lines(&["message will be retried", &self.last]).is_empty()
        })
        .await;
    }

    /// What was paid when everything is.
    fn expected(&self) -> Vec<i64> {
        (1..=self.given).collect()
    }

    /// Ends it, and checks that nothing was set aside and nothing is left.
    async fn end(self) {
        self.dispatcher.end().await;
        let set_aside = self.broker.messages(format!("{CHANNEL}.dlq"));
        assert!(set_aside.is_empty(), "{set_aside:?}");
        assert!(self.broker.messages(CHANNEL).is_empty());
        self.dispatcher.processor().close().await;
        capture::assert_no_password();
    }
}

fn message(pay: &Pay) -> Message {
    let body = serde_json::to_vec(pay).unwrap();
    let mut message = place::message("Desk.Pay", &pay.id.to_string());
    message.body = MessageBody::new(body);
    message
}

/// A pool of one connection, so that what the connection is told holds for all.
async fn one_connection(path: &Path, wait: Duration) -> SqlitePool {
    let pool = SqlitePoolOptions::new().max_connections(1);
    pool.connect_with(options(path, wait)).await.unwrap()
}

fn options(path: &Path, wait: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(wait)
}

async fn in_sqlite(pool: &SqlitePool) -> Work {
    capture::begin();
    let broker = InMemoryBroker::new();
    let dispatcher = desk::in_sqlite(broker.clone(), pool).await;
    Work::new(broker, dispatcher)
}

async fn tell(pool: &SqlitePool, what: &'static str) {
    sqlx::raw_sql(what).execute(pool).await.unwrap();
}

async fn paid(pool: &SqlitePool) -> Vec<i64> {
    sqlx::query_scalar(desk::SELECT).fetch_all(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d06_a_full_sqlite_is_a_typed_error_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d06.db");
    // Somebody else has half a megabyte of the disk.
    let other = one_connection(&path, Duration::from_secs(5)).await;
    drop(in_sqlite(&other).await);
    SqliteOutbox::from_pool(other.clone()).await.unwrap();
    tell(
        &other,
        "CREATE TABLE filler (bytes BLOB); INSERT INTO filler VALUES (zeroblob(500000))",
    )
    .await;
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count")
        .fetch_one(&other)
        .await
        .unwrap();
    let options = options(&path, Duration::from_secs(5)).pragma("max_page_count", pages.to_string());
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await
        .unwrap();
    let outbox = SqliteOutbox::from_pool(pool.clone()).await.unwrap();
    let mut work = in_sqlite(&pool).await;
    // More than there is room for on the pages that are there.
    work.give(300).await;
    work.came_again().await;
    let handled = paid(&other).await.len();
    let mut big = message(&Pay::new(0));
    big.body = MessageBody::new(vec![7; 100_000]);
    let full = outbox.deposit(&[message(&Pay::new(0)), big], None).await;
    assert!(matches!(full, Err(OutboxError::Full(_))), "{full:?}");
    assert_eq!(outbox.status().await.unwrap().outstanding, 0, "all or nothing");
    tell(&other, "DELETE FROM filler").await;
    until_answer("paid", work.expected(), async || paid(&other).await).await;
    report(
        "D06",
        format_args!(
            "full after {handled} of {}; all handled once there was room",
            work.given
        ),
    );
    work.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d06_a_read_only_sqlite_delays_but_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let pool = one_connection(&folder.path().join("d06.db"), Duration::from_secs(1)).await;
    let outbox = SqliteOutbox::from_pool(pool.clone()).await.unwrap();
    let mut work = in_sqlite(&pool).await;
    tell(&pool, "PRAGMA query_only = ON").await;
    work.give(5).await;
    work.came_again().await;
    assert!(paid(&pool).await.is_empty());
    let read_only = outbox.deposit(&[message(&Pay::new(0))], None).await;
    assert!(
        matches!(read_only, Err(OutboxError::ReadOnly(_))),
        "{read_only:?}"
    );
    tell(&pool, "PRAGMA query_only = OFF").await;
    until_answer("paid", work.expected(), async || paid(&pool).await).await;
    work.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d06_a_locked_sqlite_delays_but_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d06.db");
    let pool = one_connection(&path, Duration::from_millis(200)).await;
    let outbox = SqliteOutbox::from_pool(pool.clone()).await.unwrap();
    let mut work = in_sqlite(&pool).await;
    let other = one_connection(&path, Duration::from_secs(1)).await;
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    work.give(5).await;
    work.came_again().await;
    let busy = outbox.deposit(&[message(&Pay::new(0))], None).await;
    assert!(matches!(busy, Err(OutboxError::Unavailable(_))), "{busy:?}");
    if size(false, true) {
        // As long as the catalogue says.
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    assert!(paid(&pool).await.is_empty());
    lock.rollback().await.unwrap();
    until_answer("paid", work.expected(), async || paid(&pool).await).await;
    work.end().await;
}

async fn paid_in(server: &Postgres, database: &str) -> Vec<i64> {
    // A connection of its own, for those of the pool may be what is missing.
    let mut connection = PgConnection::connect(&server.url(database)).await.unwrap();
    sqlx::query_scalar(desk::SELECT)
        .fetch_all(&mut connection)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d07_a_stopped_postgres_delays_but_loses_nothing() {
    capture::begin();
    let server = Postgres::start().await;
    let database = server.database().await;
    // Each message, and there is one at a time, waits so long for a server that is not there: so they are few.
    let pool = server::pool_that_waits(&server.url(&database), Duration::from_secs(1)).await;
    let broker = InMemoryBroker::new();
    let dispatcher = desk::in_postgres(broker.clone(), &pool).await;
    let mut work = Work::new(broker, dispatcher);
    for harm in ["stopped", "killed"] {
        work.give(size(3, 10)).await;
        match harm {
            "stopped" => server.stop().await,
            _ => server.kill().await,
        }
        work.give(size(3, 10)).await;
        work.came_again().await;
        server.start_again().await;
        until_answer("paid", work.expected(), async || {
            paid_in(&server, &database).await
        })
        .await;
        report("D07", format_args!("{harm}: {} handled, each once", work.given));
    }
    work.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d07_a_stopped_mariadb_delays_but_loses_nothing() {
    capture::begin();
    let server = MariaDb::start().await;
    let url = server.url(&server.database().await);
    let pool = server::pool_that_waits(&url, Duration::from_secs(1)).await;
    let broker = InMemoryBroker::new();
    let dispatcher = desk::in_mariadb(broker.clone(), &pool).await;
    let mut work = Work::new(broker, dispatcher);
    for harm in ["stopped", "killed"] {
        work.give(size(3, 10)).await;
        match harm {
            "stopped" => server.stop().await,
            _ => server.kill().await,
        }
        work.give(size(3, 10)).await;
        work.came_again().await;
        server.start_again().await;
        until_answer("paid", work.expected(), async || {
            let mut connection = MySqlConnection::connect(&url).await.unwrap();
            sqlx::query_scalar(desk::SELECT)
                .fetch_all(&mut connection)
                .await
                .unwrap()
        })
        .await;
        report(
            "D07",
            format_args!("MariaDB {harm}: {} handled, each once", work.given),
        );
    }
    work.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d07_an_exhausted_pool_delays_but_loses_nothing() {
    capture::begin();
    let server = postgres::shared().await;
    let database = server.database().await;
    let pool = sqlx::postgres::PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(Duration::from_secs(5))
        .connect(&server.url(&database))
        .await
        .unwrap();
    let broker = InMemoryBroker::new();
    let dispatcher = desk::in_postgres(broker.clone(), &pool).await;
    let mut work = Work::new(broker, dispatcher);
    let taken = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    work.give(5).await;
    work.came_again().await;
    assert!(paid_in(server, &database).await.is_empty());
    drop(taken);
    until_answer("paid", work.expected(), async || paid_in(server, &database).await).await;
    work.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d07_statement_timeouts_delay_but_lose_nothing() {
    capture::begin();
    let server = postgres::shared().await;
    let database = server.database().await;
    let url = format!("{}&options=-c%20statement_timeout%3D2000", server.url(&database));
    let pool = server::pool(&url).await;
    let broker = InMemoryBroker::new();
    let dispatcher = desk::in_postgres(broker.clone(), &pool).await;
    let mut work = Work::new(broker, dispatcher);
    let mut other = PgConnection::connect(&server.url(&database)).await.unwrap();
    let mut lock = other.begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE brighter_inbox IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *lock)
        .await
        .unwrap();
    work.give(5).await;
    work.came_again().await;
    assert!(paid_in(server, &database).await.is_empty());
    lock.rollback().await.unwrap();
    until_answer("paid", work.expected(), async || paid_in(server, &database).await).await;
    work.end().await;
}
