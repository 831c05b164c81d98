//! Every store of a desk keeps the contract.

use brighter::desk::{InMemoryDesk, MySqlDesk, PostgresDesk, SqliteDesk};
use brighter_tests::databases;
use tempfile::TempDir;

brighter::desk_contract!(in_memory, async || (InMemoryDesk::new(), ()));
brighter::desk_contract!(sqlite, sqlite_desk);
brighter::desk_contract!(postgres, postgres_desk);
brighter::desk_contract!(mysql, mysql_desk);

async fn sqlite_desk() -> (SqliteDesk, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let desk = SqliteDesk::open(folder.path().join("desk.db")).await.unwrap();
    (desk, folder)
}

async fn postgres_desk() -> (PostgresDesk, databases::Postgres) {
    let schema = databases::Postgres::new().await;
    (
        PostgresDesk::from_pool(schema.pool().await).await.unwrap(),
        schema,
    )
}

async fn mysql_desk() -> (MySqlDesk, databases::MySql) {
    let database = databases::MySql::new().await;
    (
        MySqlDesk::from_pool(database.pool().await).await.unwrap(),
        database,
    )
}
