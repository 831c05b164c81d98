//! Transactions that get in each other's way.

use std::error::Error;
use std::slice::from_ref;
use std::time::Duration;

use brighter::inbox::{Begun, Inbox, InboxKey};
use brighter::outbox::{Claim, Outbox, OutboxError, OutboxTransaction};
use brighter::testing::eventually;
use brighter::testing::outbox::some_message;
use brighter::{MessageId, MySqlInbox, MySqlOutbox, PostgresInbox, PostgresOutbox, SqliteOutbox};
use brighter_tests::databases;
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor, MySqlPool, Row};

const LONG: Duration = Duration::from_secs(3600);

/// The transaction that waits last finds the deadlock, so the outbox has to give way.
#[tokio::test]
async fn a_deadlock_with_another_transaction_is_tried_again() {
    let database = databases::Postgres::new().await;
    let outbox = PostgresOutbox::from_pool(database.pool().await).await.unwrap();
    let mut messages = [some_message(), some_message()];
    messages.sort_by_key(|message| message.header.id.to_string());
    let ids = messages.each_ref().map(|message| message.header.id.clone());
    outbox.deposit(&messages, None).await.unwrap();
    let lock = |id: &MessageId| {
        let statement = "UPDATE brighter_outbox SET attempts = attempts WHERE message_id = '";
        AssertSqlSafe(format!("{statement}{id}'"))
    };
    let mut other = outbox.pool().begin().await.unwrap();
    other
        .execute("SET LOCAL deadlock_timeout = '600s'")
        .await
        .unwrap();
    let this: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut *other)
        .await
        .unwrap();
    sqlx::raw_sql(lock(&ids[1])).execute(&mut *other).await.unwrap();

    let marking = tokio::spawn({
        let (outbox, ids) = (outbox.clone(), ids.clone());
        async move { outbox.mark_dispatched(&ids).await }
    });
    // It has the first, and waits for the second.
    eventually("the outbox waits", async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))";
        let waiting: i64 = sqlx::query_scalar(waiting)
            .bind(this)
            .fetch_one(outbox.pool())
            .await
            .unwrap();
        (waiting == 1).then_some(())
    })
    .await;
    sqlx::raw_sql(lock(&ids[0])).execute(&mut *other).await.unwrap();
    other.commit().await.unwrap();
    marking.await.unwrap().unwrap();
    assert_eq!(outbox.status().await.unwrap().outstanding, 0);
}

#[tokio::test]
async fn a_deadlock_is_a_conflict_for_one_transaction() {
    let database = databases::Postgres::new().await;
    let outbox = PostgresOutbox::from_pool(database.pool().await).await.unwrap();
    let messages = [some_message(), some_message()];
    let mut one = outbox.pool().begin().await.unwrap();
    let mut other = outbox.pool().begin().await.unwrap();
    one.deposit(&outbox, from_ref(&messages[0])).await.unwrap();
    other.deposit(&outbox, from_ref(&messages[1])).await.unwrap();
    let (first, second) = tokio::join!(
        async {
            let done = one.deposit(&outbox, from_ref(&messages[1])).await;
            one.rollback().await.unwrap();
            done
        },
        async {
            let done = other.deposit(&outbox, from_ref(&messages[0])).await;
            other.rollback().await.unwrap();
            done
        }
    );
    let (won, lost) = match first.is_ok() {
        true => (first, second),
        false => (second, first),
    };
    won.unwrap();
    let lost = lost.unwrap_err();
    assert!(matches!(lost, OutboxError::Conflict(_)), "{lost:?}");
    assert!(lost.to_string().contains("run the transaction again"), "{lost}");
}

/// The outbox waits for a row that another has, once it was refused for waiting too long.
#[tokio::test]
async fn a_lock_timeout_is_retried_in_postgres() {
    let database = databases::Postgres::new().await;
    let other = PostgresOutbox::from_pool(database.pool().await).await.unwrap();
    let options: PgConnectOptions = databases::postgres_url().parse().unwrap();
    let options = options.options([("search_path", database.name.as_str()), ("lock_timeout", "200ms")]);
    let pool = PgPoolOptions::new().max_connections(1);
    let outbox = PostgresOutbox::from_pool(pool.connect_with(options).await.unwrap());
    let outbox = outbox.await.unwrap();
    let waiting = async || {
        let waiting = "SELECT CAST(query_start AS text) FROM pg_stat_activity \
            WHERE cardinality(pg_blocking_pids(pid)) > 0 AND query LIKE '%' || $1 || '%'";
        let waiting = sqlx::query_scalar::<_, String>(waiting).bind(&database.name);
        waiting.fetch_optional(other.pool()).await.unwrap()
    };
    waits_in_postgres(&outbox, &other, waiting).await;
}

#[tokio::test]
async fn a_lock_timeout_is_retried_in_mysql() {
    let database = databases::MySql::new().await;
    let other = MySqlOutbox::from_pool(database.pool().await).await.unwrap();
    let options: MySqlConnectOptions = databases::mysql_url().parse().unwrap();
    let pool = MySqlPoolOptions::new().max_connections(1);
    let pool = pool.connect_with(options.database(&database.name)).await.unwrap();
    let patience = "SET SESSION innodb_lock_wait_timeout = 1";
    sqlx::raw_sql(patience).execute(&pool).await.unwrap();
    let outbox = MySqlOutbox::from_pool(pool).await.unwrap();
    let waiting = async || waiting_in_mysql(other.pool(), &database.name).await;
    waits_in_mysql(&outbox, &other, waiting).await;
}

/// The transaction that waits for a lock in this database. The tables of the information schema do not say: they are not
/// brought up to date while somebody asks all the time.
async fn waiting_in_mysql(pool: &MySqlPool, database: &str) -> Option<String> {
    let status = sqlx::raw_sql("SHOW ENGINE INNODB STATUS").fetch_one(pool).await;
    let status: String = status.unwrap().get(2);
    let mut transactions = status.split("---TRANSACTION ").skip(1);
    let waiting = transactions.find(|one| one.contains("LOCK WAIT") && one.contains(database));
    Some(waiting?.split(',').next()?.to_owned())
}

/// What marks a message, or completes a request, waits for the lock that another has, until a second attempt does.
macro_rules! waits {
    ($name:ident, $outbox:ty, $inbox:ty) => {
        async fn $name(outbox: &$outbox, other: &$outbox, waiting: impl AsyncFn() -> Option<String>) {
            let inbox = <$inbox>::from_pool(outbox.pool().clone()).await.unwrap();
            let (message, key) = (some_message(), InboxKey::new(MessageId::new(), "handler"));
            outbox.deposit(from_ref(&message), None).await.unwrap();
            inbox.begin(&key, None, LONG).await.unwrap();
            for of_inbox in [false, true] {
                let mut holding = other.pool().begin().await.unwrap();
                let lock = "UPDATE brighter_outbox SET attempts = attempts + 1; UPDATE brighter_inbox SET ends_at = 1";
                sqlx::raw_sql(lock).execute(&mut *holding).await.unwrap();
                let (outbox_of_call, inbox) = (outbox.clone(), inbox.clone());
                let (id, key) = (message.header.id.clone(), key.clone());
                let call = tokio::spawn(async move {
                    match of_inbox {
                        false => outbox_of_call.mark_dispatched(&[id]).await.unwrap(),
                        true => inbox.complete(&key).await.unwrap(),
                    }
                });
                let first = eventually("the call waits", &waiting).await;
                eventually("it waits once more", async || {
                    waiting().await.filter(|waiting| *waiting != first)
                })
                .await;
                holding.rollback().await.unwrap();
                call.await.unwrap();
            }
            assert_eq!(outbox.status().await.unwrap().outstanding, 0);
            let begun = inbox.begin(&key, None, LONG).await.unwrap();
            assert!(matches!(begun, Begun::Done), "{begun:?}");
        }
    };
}

waits!(waits_in_postgres, PostgresOutbox, PostgresInbox);
waits!(waits_in_mysql, MySqlOutbox, MySqlInbox);

/// In a deadlock MySQL rolls back the transaction that has changed less, which is that of the outbox.
#[tokio::test]
async fn a_deadlock_with_another_transaction_is_tried_again_in_mysql() {
    let database = databases::MySql::new().await;
    let outbox = MySqlOutbox::from_pool(database.pool().await).await.unwrap();
    let mut messages = [some_message(), some_message()];
    messages.sort_by_key(|message| message.header.id.to_string());
    let ids = messages.each_ref().map(|message| message.header.id.clone());
    outbox.deposit(&messages, None).await.unwrap();
    let ballast = "CREATE TABLE ballast (number INT PRIMARY KEY)";
    outbox.pool().execute(ballast).await.unwrap();
    let lock = |id: &MessageId| {
        let statement = "SELECT seq FROM brighter_outbox WHERE message_id = '";
        AssertSqlSafe(format!("{statement}{id}' FOR UPDATE"))
    };
    let mut other = outbox.pool().begin().await.unwrap();
    for number in 0..100 {
        let row = AssertSqlSafe(format!("INSERT INTO ballast VALUES ({number})"));
        sqlx::raw_sql(row).execute(&mut *other).await.unwrap();
    }
    sqlx::raw_sql(lock(&ids[1])).execute(&mut *other).await.unwrap();
    let marking = tokio::spawn({
        let (outbox, ids) = (outbox.clone(), ids.clone());
        async move { outbox.mark_dispatched(&ids).await }
    });
    // It has the first, and waits for the second.
    eventually("the outbox waits", async || {
        waiting_in_mysql(outbox.pool(), &database.name).await
    })
    .await;
    sqlx::raw_sql(lock(&ids[0])).execute(&mut *other).await.unwrap();
    other.commit().await.unwrap();
    marking.await.unwrap().unwrap();
    assert_eq!(outbox.status().await.unwrap().outstanding, 0);
}

/// What the application has as its isolation is not that of the outbox's and the inbox's own transactions, or they try
/// again. Four that work on the same rows.
async fn nothing_fails<O, I>(outbox: O, inbox: I)
where
    O: Outbox + Clone + 'static,
    I: Inbox + Clone + 'static,
{
    let mut workers = Vec::new();
    for _ in 0..4 {
        let (outbox, inbox) = (outbox.clone(), inbox.clone());
        workers.push(tokio::spawn(async move {
            let mut sent = Vec::new();
            for round in 0..20 {
                let messages: Vec<_> = (0..10).map(|_| some_message()).collect();
                outbox.deposit(&messages, None).await.unwrap();
                let claimed = outbox
                    .claim(Claim::oldest(10, Duration::ZERO), LONG)
                    .await
                    .unwrap();
                let ids: Vec<_> = claimed.iter().map(|it| it.message.header.id.clone()).collect();
                outbox.mark_dispatched(&ids).await.unwrap();
                sent.extend(ids);
                outbox.status().await.unwrap();
                let key = InboxKey::new(MessageId::from(format!("{round}")), "handler");
                match inbox.begin(&key, None, LONG).await.unwrap() {
                    Begun::First(claim) if round % 2 == 0 => inbox.abandon(&key, claim).await.unwrap(),
                    Begun::First(_) => inbox.complete(&key).await.unwrap(),
                    _ => {}
                }
            }
            sent
        }));
    }
    let mut sent = Vec::new();
    for worker in workers {
        sent.extend(worker.await.unwrap());
    }
    let all = sent.len();
    sent.sort();
    sent.dedup();
    assert_eq!(sent.len(), all, "none is claimed twice");
    let left = outbox.status().await.unwrap().outstanding;
    assert_eq!(all as u64 + left, 800);
}

#[tokio::test(flavor = "multi_thread")]
async fn serializable_isolation_claims_each_message_once() {
    let database = databases::Postgres::new().await;
    let options: PgConnectOptions = databases::postgres_url().parse().unwrap();
    let options = options.options([
        ("search_path", database.name.as_str()),
        ("default_transaction_isolation", "serializable"),
    ]);
    let pool = PgPoolOptions::new().max_connections(8);
    let pool = pool.connect_with(options).await.unwrap();
    let inbox = PostgresInbox::from_pool(pool.clone()).await.unwrap();
    nothing_fails(PostgresOutbox::from_pool(pool).await.unwrap(), inbox).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn serializable_isolation_of_mysql_claims_each_message_once() {
    let database = databases::MySql::new().await;
    let options: MySqlConnectOptions = databases::mysql_url().parse().unwrap();
    let pool = MySqlPoolOptions::new()
        .max_connections(8)
        .after_connect(|connection, _| {
            let isolation = "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE";
            Box::pin(async move { connection.execute(isolation).await.map(drop) })
        });
    let pool = pool.connect_with(options.database(&database.name)).await.unwrap();
    let inbox = MySqlInbox::from_pool(pool.clone()).await.unwrap();
    nothing_fails(MySqlOutbox::from_pool(pool).await.unwrap(), inbox).await;
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

#[tokio::test]
async fn a_stale_sqlite_read_transaction_can_never_write() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = SqliteOutbox::open(folder.path().join("app.db")).await.unwrap();
    let create = "CREATE TABLE tasks (name TEXT)";
    outbox.pool().execute(create).await.unwrap();
    let mut tx = outbox.pool().begin().await.unwrap();
    tx.execute("SELECT count(*) FROM tasks").await.unwrap();
    outbox.deposit(&[some_message()], None).await.unwrap();
    let refused = tx.deposit(&outbox, &[some_message()]).await.unwrap_err();
    assert!(matches!(refused, OutboxError::Conflict(_)), "{refused:?}");
    let text = chain(&refused);
    assert!(
        text.contains("will ever write") && text.contains("BEGIN IMMEDIATE"),
        "{text}"
    );
    tx.rollback().await.unwrap();

    let mut tx = outbox.pool().begin_with("BEGIN IMMEDIATE").await.unwrap();
    tx.execute("SELECT count(*) FROM tasks").await.unwrap();
    tx.deposit(&outbox, &[some_message()]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(outbox.status().await.unwrap().outstanding, 2);
}

/// It has read, and another is about to write: SQLite does not let it wait, for it could never write after that.
#[tokio::test]
async fn a_sqlite_read_transaction_learns_why_writing_fails() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = SqliteOutbox::open(folder.path().join("app.db")).await.unwrap();
    let mut tx = outbox.pool().begin().await.unwrap();
    tx.execute("SELECT count(*) FROM brighter_outbox").await.unwrap();
    let writing = outbox.pool().begin_with("BEGIN IMMEDIATE").await.unwrap();
    let refused = tx.deposit(&outbox, &[some_message()]).await.unwrap_err();
    assert!(matches!(refused, OutboxError::Unavailable(_)), "{refused:?}");
    let text = chain(&refused);
    assert!(
        text.contains("began by reading") && text.contains("BEGIN IMMEDIATE"),
        "{text}"
    );
    tx.rollback().await.unwrap();
    writing.rollback().await.unwrap();
}
