//! A database for one sample alone, and its connections, which are the same on both sides.

use std::str::FromStr;

use anyhow::{Context, Result};
use brighter::outbox::Outbox;
use brighter::{MessageId, MySqlOutbox, PostgresOutbox, SqliteOutbox};
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Database, MySql, Pool, Postgres, Sqlite, SqlitePool, Transaction};
use tempfile::TempDir;

/// A kind of database.
pub(in crate::cells) trait Store: Database {
    type Outbox: Outbox + Clone;
    /// What is taken away at the end.
    type Place;

    /// A new, empty database.
    async fn make() -> Result<(Self::Place, Pool<Self>)>;

    async fn outbox(pool: &Pool<Self>) -> Result<Self::Outbox>;

    async fn begin(pool: &Pool<Self>) -> Result<Transaction<'static, Self>>;

    async fn remove(place: Self::Place, pool: Pool<Self>) -> Result<()>;
}

impl Store for Sqlite {
    type Outbox = SqliteOutbox;
    type Place = TempDir;

    async fn make() -> Result<(TempDir, SqlitePool)> {
        let folder = tempfile::tempdir()?;
        let options = SqliteConnectOptions::new()
            .filename(folder.path().join("bench.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new().connect_with(options).await?;
        Ok((folder, pool))
    }

    async fn outbox(pool: &SqlitePool) -> Result<SqliteOutbox> {
        Ok(SqliteOutbox::from_pool(pool.clone()).await?)
    }

    async fn begin(pool: &SqlitePool) -> Result<Transaction<'static, Self>> {
        Ok(pool.begin_with("BEGIN IMMEDIATE").await?)
    }

    async fn remove(folder: TempDir, pool: SqlitePool) -> Result<()> {
        pool.close().await;
        Ok(folder.close()?)
    }
}

/// A server, with a name of our own on it.
macro_rules! server {
    ($database:ty, $outbox:ident, $options:ty, $url:literal, $create:literal, $drop:literal, $within:expr) => {
        impl Store for $database {
            type Outbox = $outbox;
            type Place = ($options, String);

            async fn make() -> Result<(Self::Place, Pool<Self>)> {
                let url = std::env::var($url).context(concat!($url, " is not set"))?;
                let options = <$options>::from_str(&url)?;
                let name = format!("bench_{}", MessageId::new()).replace('-', "");
                let create = AssertSqlSafe(format!($create, name));
                sqlx::raw_sql(create)
                    .execute(&mut options.connect().await?)
                    .await?;
                let within: fn($options, &str) -> $options = $within;
                let pool = Pool::connect_with(within(options.clone(), &name)).await?;
                Ok(((options, name), pool))
            }

            async fn outbox(pool: &Pool<Self>) -> Result<$outbox> {
                Ok($outbox::from_pool(pool.clone()).await?)
            }

            async fn begin(pool: &Pool<Self>) -> Result<Transaction<'static, Self>> {
                Ok(pool.begin().await?)
            }

            async fn remove((options, name): Self::Place, pool: Pool<Self>) -> Result<()> {
                pool.close().await;
                let drop = AssertSqlSafe(format!($drop, name));
                sqlx::raw_sql(drop)
                    .execute(&mut options.connect().await?)
                    .await?;
                Ok(())
            }
        }
    };
}

server!(
    Postgres,
    PostgresOutbox,
    PgConnectOptions,
    "BRIGHTER_TEST_POSTGRES_URL",
    "CREATE SCHEMA {}",
    "DROP SCHEMA {} CASCADE",
    |options, name| options.options([("search_path", name)])
);

server!(
    MySql,
    MySqlOutbox,
    MySqlConnectOptions,
    "BRIGHTER_TEST_MYSQL_URL",
    "CREATE DATABASE {}",
    "DROP DATABASE {}",
    |options, name| options.database(name)
);
