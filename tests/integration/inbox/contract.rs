//! Every inbox in a database keeps the contract; so do the transactions in which a request is completed.

use brighter::testing::inbox_transaction::TransactionalInbox;
use brighter::{MySqlInbox, PostgresInbox, SqliteInbox};
use brighter_tests::databases;
use sqlx::{MySql, Postgres, Sqlite, Transaction};
use tempfile::TempDir;

brighter::inbox_contract!(sqlite, sqlite_inbox);
brighter::inbox_contract!(postgres, postgres_inbox);
brighter::inbox_contract!(mysql, mysql_inbox);
brighter::inbox_transaction_contract!(sqlite_transaction, async || InSqlite(sqlite_inbox().await));
brighter::inbox_transaction_contract!(postgres_transaction, async || InPostgres(postgres_inbox().await));
brighter::inbox_transaction_contract!(mysql_transaction, async || InMySql(mysql_inbox().await));

async fn sqlite_inbox() -> (SqliteInbox, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let inbox = SqliteInbox::open(folder.path().join("inbox.db")).await.unwrap();
    (inbox, folder)
}

async fn postgres_inbox() -> (PostgresInbox, databases::Postgres) {
    let schema = databases::Postgres::new().await;
    (
        PostgresInbox::from_pool(schema.pool().await).await.unwrap(),
        schema,
    )
}

async fn mysql_inbox() -> (MySqlInbox, databases::MySql) {
    let database = databases::MySql::new().await;
    (
        MySqlInbox::from_pool(database.pool().await).await.unwrap(),
        database,
    )
}

/// The transactions of sqlx are alike.
macro_rules! transactional {
    ($name:ident, $inbox:ident, $kept:ty, $database:ident) => {
        struct $name(($inbox, $kept));

        impl TransactionalInbox for $name {
            type Inbox = $inbox;
            type Transaction = Transaction<'static, $database>;

            fn inbox(&self) -> &$inbox {
                &self.0.0
            }

            async fn begin(&self) -> Self::Transaction {
                self.inbox().pool().begin().await.unwrap()
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

transactional!(InSqlite, SqliteInbox, TempDir, Sqlite);
transactional!(InPostgres, PostgresInbox, databases::Postgres, Postgres);
transactional!(InMySql, MySqlInbox, databases::MySql, MySql);
