//! Every outbox keeps the contract.

use brighter::outbox::InMemoryTransaction;
use brighter::testing::outbox_transaction::Transactional;
use brighter::{InMemoryOutbox, SqliteOutbox};
use sqlx::{Sqlite, Transaction};
use tempfile::TempDir;

brighter::outbox_contract!(in_memory, async || (InMemoryOutbox::new(), ()));
brighter::outbox_contract!(sqlite, sqlite_outbox);
brighter::outbox_transaction_contract!(in_memory_transaction, async || InMemory(InMemoryOutbox::new()));
brighter::outbox_transaction_contract!(sqlite_transaction, async || InSqlite(sqlite_outbox().await));

async fn sqlite_outbox() -> (SqliteOutbox, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let outbox = SqliteOutbox::open(folder.path().join("outbox.db")).await.unwrap();
    (outbox, folder)
}

struct InMemory(InMemoryOutbox);

impl Transactional for InMemory {
    type Outbox = InMemoryOutbox;
    type Transaction = InMemoryTransaction;

    fn outbox(&self) -> &InMemoryOutbox {
        &self.0
    }

    async fn begin(&self) -> InMemoryTransaction {
        self.0.begin()
    }

    async fn commit(&self, transaction: InMemoryTransaction) {
        transaction.commit().unwrap();
    }

    async fn rollback(&self, transaction: InMemoryTransaction) {
        transaction.rollback();
    }
}

struct InSqlite((SqliteOutbox, TempDir));

impl Transactional for InSqlite {
    type Outbox = SqliteOutbox;
    type Transaction = Transaction<'static, Sqlite>;

    fn outbox(&self) -> &SqliteOutbox {
        &self.0.0
    }

    async fn begin(&self) -> Self::Transaction {
        self.outbox().pool().begin().await.unwrap()
    }

    async fn commit(&self, transaction: Self::Transaction) {
        transaction.commit().await.unwrap();
    }

    async fn rollback(&self, transaction: Self::Transaction) {
        transaction.rollback().await.unwrap();
    }
}
