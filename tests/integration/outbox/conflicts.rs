//! Transactions that get in each other's way.

use std::error::Error;
use std::slice::from_ref;
use std::time::Duration;

use brighter::outbox::{Claim, Outbox, OutboxError, OutboxTransaction};
use brighter::testing::eventually;
use brighter::testing::outbox::some_message;
use brighter::{MessageId, PostgresOutbox, SqliteOutbox};
use brighter_tests::databases;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor};

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
async fn of_two_transactions_in_a_deadlock_one_is_told_to_begin_again() {
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

/// What the application has as its isolation is not that of the outbox's own transactions.
#[tokio::test(flavor = "multi_thread")]
async fn under_serializable_isolation_no_call_fails_and_each_message_is_claimed_once() {
    let database = databases::Postgres::new().await;
    PostgresOutbox::from_pool(database.pool().await).await.unwrap();
    let options: PgConnectOptions = databases::postgres_url().parse().unwrap();
    let options = options.options([
        ("search_path", database.name.as_str()),
        ("default_transaction_isolation", "serializable"),
    ]);
    let pool = PgPoolOptions::new().max_connections(8);
    let outbox = PostgresOutbox::from_pool(pool.connect_with(options).await.unwrap());
    let outbox = outbox.await.unwrap();
    let mut workers = Vec::new();
    for _ in 0..4 {
        let outbox = outbox.clone();
        workers.push(tokio::spawn(async move {
            let mut sent = Vec::new();
            for _ in 0..20 {
                let messages: Vec<_> = (0..10).map(|_| some_message()).collect();
                outbox.deposit(&messages, None).await.unwrap();
                let claimed = outbox
                    .claim(Claim::oldest(10, Duration::ZERO), LONG)
                    .await
                    .unwrap();
                let ids: Vec<_> = claimed.iter().map(|it| it.message.header.id.clone()).collect();
                outbox.mark_dispatched(&ids).await.unwrap();
                sent.extend(ids);
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
async fn a_transaction_of_sqlite_that_began_by_reading_is_told_that_it_can_never_write() {
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
