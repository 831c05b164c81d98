//! A long backlog is sent in its order, and in hand are never more than two batches of it.

use std::time::Duration;

use brighter::channel::Broker;
use brighter::outbox::Outbox;
use brighter::prelude::*;
use brighter::testing::outbox::some_message;
use brighter::{MySqlOutbox, PostgresOutbox, SqliteOutbox, Sweeper};
use brighter_tests::databases;

use super::watched::Watched;

const BATCH: usize = 50;

/// How many rows: a few thousand, or as many as the environment says.
fn rows() -> usize {
    let rows = std::env::var("BRIGHTER_TEST_DRAIN_ROWS");
    rows.ok().and_then(|rows| rows.parse().ok()).unwrap_or(2_000)
}

async fn drain(outbox: impl Outbox) {
    let broker = InMemoryBroker::new();
    broker
        .declare(&brighter::channel::Channel::new("all", "Task.Reminder"))
        .await
        .unwrap();
    let messages: Vec<_> = (0..rows()).map(|_| some_message()).collect();
    for some in messages.chunks(1_000) {
        outbox.deposit(some, None).await.unwrap();
    }
    let outbox = Watched::new(outbox);
    let seen = outbox.seen();
    let processor = CommandProcessor::builder().broker(broker.clone()).outbox(outbox);
    let processor = processor
        .sweeper(Sweeper::default().batch(BATCH))
        .build()
        .unwrap();
    while processor.outbox().status().await.unwrap().outstanding > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    processor.close().await;
    let sent: Vec<_> = broker
        .messages("all")
        .iter()
        .map(|message| message.header.id.clone())
        .collect();
    assert!(
        sent == messages
            .iter()
            .map(|message| message.header.id.clone())
            .collect::<Vec<_>>()
    );
    let at_most = seen.at_most();
    assert!(at_most <= 2 * BATCH, "{at_most} were in hand");
}

#[tokio::test]
async fn in_memory() {
    drain(InMemoryOutbox::new()).await;
}

#[tokio::test]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    drain(SqliteOutbox::open(folder.path().join("outbox.db")).await.unwrap()).await;
}

#[tokio::test]
async fn postgres() {
    let database = databases::Postgres::new().await;
    drain(PostgresOutbox::from_pool(database.pool().await).await.unwrap()).await;
}

#[tokio::test]
async fn mysql() {
    let database = databases::MySql::new().await;
    drain(MySqlOutbox::from_pool(database.pool().await).await.unwrap()).await;
}
