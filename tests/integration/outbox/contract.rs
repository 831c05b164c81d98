//! Every outbox keeps the contract.

use brighter::outbox::InMemoryTransaction;
use brighter::testing::outbox_transaction::TransactionalOutbox;
use brighter::{InMemoryOutbox, MySqlOutbox, PostgresOutbox, SqliteOutbox};
use brighter_tests::databases;
use sqlx::{MySql, Postgres, Sqlite, Transaction};
use tempfile::TempDir;

brighter::outbox_contract!(in_memory, async || (InMemoryOutbox::new(), ()));
brighter::outbox_contract!(sqlite, sqlite_outbox);
brighter::outbox_contract!(postgres, postgres_outbox);
brighter::outbox_contract!(mysql, mysql_outbox);
brighter::outbox_transaction_contract!(in_memory_transaction, async || InMemory(InMemoryOutbox::new()));
brighter::outbox_transaction_contract!(sqlite_transaction, async || InSqlite(sqlite_outbox().await));
brighter::outbox_transaction_contract!(postgres_transaction, async || InPostgres(postgres_outbox().await));
brighter::outbox_transaction_contract!(mysql_transaction, async || InMySql(mysql_outbox().await));

async fn sqlite_outbox() -> (SqliteOutbox, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let outbox = SqliteOutbox::open(folder.path().join("outbox.db")).await.unwrap();
    (outbox, folder)
}

async fn postgres_outbox() -> (PostgresOutbox, databases::Postgres) {
    let schema = databases::Postgres::new().await;
    (
        PostgresOutbox::from_pool(schema.pool().await).await.unwrap(),
        schema,
    )
}

async fn mysql_outbox() -> (MySqlOutbox, databases::MySql) {
    let database = databases::MySql::new().await;
    (
        MySqlOutbox::from_pool(database.pool().await).await.unwrap(),
        database,
    )
}

struct InMemory(InMemoryOutbox);

impl TransactionalOutbox for InMemory {
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

/// The transactions of sqlx are alike.
macro_rules! transactional {
    ($name:ident, $outbox:ident, $kept:ty, $database:ident) => {
        struct $name(($outbox, $kept));

        impl TransactionalOutbox for $name {
            type Outbox = $outbox;
            type Transaction = Transaction<'static, $database>;

            fn outbox(&self) -> &$outbox {
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
    };
}

transactional!(InSqlite, SqliteOutbox, TempDir, Sqlite);
transactional!(InPostgres, PostgresOutbox, databases::Postgres, Postgres);
transactional!(InMySql, MySqlOutbox, databases::MySql, MySql);
