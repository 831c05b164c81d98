//! What only `build()` can know, with its fix.

use brighter::prelude::*;
use sqlx::{PgTransaction, SqliteTransaction};

use crate::desk::Book;

struct InPostgres;

#[handler]
impl Handler<Book> for InPostgres {
    #[transactional(step = 1)]
    async fn handle(&self, _: &Book, _: &mut PgTransaction<'_>) -> Result<(), sqlx::Error> {
        Ok(())
    }
}

struct InSqlite {
    pool: Option<sqlx::SqlitePool>,
}

#[handler]
impl Handler<Book> for InSqlite {
    #[transactional(isolation = read_committed, step = 2)]
    async fn handle(&self, _: &Book, _: &mut SqliteTransaction<'_>) -> Result<(), sqlx::Error> {
        assert!(self.pool.is_none());
        Ok(())
    }
}

/// Begins in a pool of its own.
struct Own {
    pool: sqlx::SqlitePool,
}

#[handler]
impl Handler<Book> for Own {
    #[transactional(pool = pool, step = 1)]
    async fn handle(&self, _: &Book, tx: &mut SqliteTransaction<'_>) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT 1").execute(&mut **tx).await.map(drop)
    }
}

fn errors(builder: brighter::processor::CommandProcessorBuilder) -> String {
    builder.build().unwrap_err().to_string()
}

fn assert_says(errors: &str, expected: &[&str]) {
    for expected in expected {
        assert!(errors.contains(expected), "{expected:?} is not in: {errors}");
    }
}

#[tokio::test]
async fn without_stores_each_is_named() {
    let errors = errors(CommandProcessor::builder().handler(InPostgres));
    assert_says(
        &errors,
        &[
            "the processor has no outbox: add `.outbox(…)` with a `PostgresOutbox`",
            "the processor has no inbox: add `.inbox(…)` with a `PostgresInbox`",
        ],
    );
}

#[tokio::test]
async fn stores_of_another_database_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = SqliteOutbox::open(folder.path().join("books.db")).await.unwrap();
    let inbox = SqliteInbox::from_pool(outbox.pool().clone()).await.unwrap();
    let builder = CommandProcessor::builder().outbox(outbox).inbox(inbox);
    assert_says(
        &errors(builder.handler(InPostgres)),
        &[
            "the transaction of a `PostgresOutbox`, and the processor has another outbox",
            "pass a `PostgresInbox` in the same database to `.inbox(…)`",
        ],
    );
}

#[tokio::test]
async fn an_inbox_in_memory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = SqliteOutbox::open(folder.path().join("books.db")).await.unwrap();
    let builder = CommandProcessor::builder()
        .outbox(outbox)
        .inbox(InMemoryInbox::new());
    assert_says(
        &errors(builder.handler(InSqlite { pool: None })),
        &[
            "an inbox that cannot be written in its transaction: pass a `SqliteInbox`",
            "at step 2 with an option that its database does not have: the isolation level `read_committed`",
        ],
    );
}

#[tokio::test]
async fn a_pool_of_its_own_needs_no_outbox() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = SqliteInbox::open(folder.path().join("books.db")).await.unwrap();
    let pool = inbox.pool().clone();
    let processor = CommandProcessor::builder()
        .inbox(inbox)
        .handler(Own { pool })
        .build()
        .unwrap();
    let pipeline = processor.describe().next().unwrap();
    let step = &pipeline.steps[0];
    assert_eq!(step.attribute, "transactional");
    assert!(step.detail.contains("on duplicate: warn"), "{step}");
    processor.send(crate::desk::book("milk")).await.unwrap();
}
