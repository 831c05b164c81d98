//! The outbox that a skilled engineer writes for one application: a table with one index, and three statements.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Database, MySql, Postgres, Sqlite};

/// A message as a row.
pub(super) struct Row {
    pub(super) seq: i64,
    pub(super) message_id: String,
    pub(super) topic: String,
    pub(super) message_type: String,
    pub(super) header: String,
    pub(super) body: Vec<u8>,
}

/// What is in the column `header`.
#[derive(Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) content_type: String,
    pub(super) correlation_id: Option<String>,
    pub(super) timestamp: u64,
    pub(super) handled_count: u32,
}

/// The table in one database.
pub(super) trait Table: Database {
    async fn create(connection: &mut Self::Connection) -> Result<()>;

    async fn insert(connection: &mut Self::Connection, row: &Row) -> Result<()>;

    /// The oldest that are not sent.
    async fn unsent(connection: &mut Self::Connection) -> Result<Vec<Row>>;

    async fn mark_sent(connection: &mut Self::Connection, rows: &[Row]) -> Result<()>;

    /// How many there are, sent and not.
    async fn count(connection: &mut Self::Connection) -> Result<[u32; 2]>;
}

macro_rules! table {
    ($database:ty, $create:literal, $insert:literal, $mark:expr) => {
        impl Table for $database {
            async fn create(connection: &mut Self::Connection) -> Result<()> {
                sqlx::raw_sql($create).execute(connection).await?;
                Ok(())
            }

            async fn insert(connection: &mut Self::Connection, row: &Row) -> Result<()> {
                sqlx::query($insert)
                    .bind(&row.message_id)
                    .bind(&row.topic)
                    .bind(&row.message_type)
                    .bind(&row.header)
                    .bind(&row.body)
                    .execute(connection)
                    .await?;
                Ok(())
            }

            async fn unsent(connection: &mut Self::Connection) -> Result<Vec<Row>> {
                let rows = sqlx::query_as(
                    "SELECT seq, message_id, topic, message_type, header, body FROM by_hand \
                     WHERE sent = 0 ORDER BY seq LIMIT 100",
                );
                let rows: Vec<(i64, String, String, String, String, Vec<u8>)> =
                    rows.fetch_all(connection).await?;
                let row = |(seq, message_id, topic, message_type, header, body)| Row {
                    seq,
                    message_id,
                    topic,
                    message_type,
                    header,
                    body,
                };
                Ok(rows.into_iter().map(row).collect())
            }

            async fn mark_sent(connection: &mut Self::Connection, rows: &[Row]) -> Result<()> {
                let mark: fn(&[Row]) -> (String, Vec<i64>) = $mark;
                let (sql, values) = mark(rows);
                let mut query = sqlx::query(AssertSqlSafe(sql));
                for value in values {
                    query = query.bind(value);
                }
                query.execute(connection).await?;
                Ok(())
            }

            async fn count(connection: &mut Self::Connection) -> Result<[u32; 2]> {
                let (sent, unsent): (i64, i64) = sqlx::query_as(
                    "SELECT count(CASE WHEN sent = 1 THEN 1 END), count(CASE WHEN sent = 0 THEN 1 END) FROM by_hand",
                )
                .fetch_one(connection)
                .await?;
                Ok([sent.try_into()?, unsent.try_into()?])
            }
        }
    };
}

/// One statement for the whole batch; but for the last batch it is always the same, and prepared once.
fn marked(rows: &[Row], placeholder: fn(usize) -> String) -> (String, Vec<i64>) {
    let places: Vec<_> = (0..rows.len()).map(placeholder).collect();
    let sql = format!("UPDATE by_hand SET sent = 1 WHERE seq IN ({})", places.join(", "));
    (sql, rows.iter().map(|row| row.seq).collect())
}

table!(
    Sqlite,
    "CREATE TABLE by_hand (
       seq INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL UNIQUE, topic TEXT NOT NULL,
       message_type TEXT NOT NULL, header TEXT NOT NULL, body BLOB NOT NULL, sent INTEGER NOT NULL DEFAULT 0,
       deposited_at INTEGER NOT NULL DEFAULT (unixepoch())) STRICT;
     CREATE INDEX by_hand_unsent ON by_hand (seq) WHERE sent = 0",
    "INSERT INTO by_hand (message_id, topic, message_type, header, body) VALUES (?, ?, ?, ?, ?)",
    |rows| marked(rows, |_| "?".to_owned())
);

table!(
    Postgres,
    "CREATE TABLE by_hand (
       seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, message_id text NOT NULL UNIQUE, topic text NOT NULL,
       message_type text NOT NULL, header text NOT NULL, body bytea NOT NULL, sent bigint NOT NULL DEFAULT 0,
       deposited_at timestamptz NOT NULL DEFAULT now());
     CREATE INDEX by_hand_unsent ON by_hand (seq) WHERE sent = 0",
    "INSERT INTO by_hand (message_id, topic, message_type, header, body) VALUES ($1, $2, $3, $4, $5)",
    |rows| marked(rows, |at| format!("${}", at + 1))
);

table!(
    MySql,
    "CREATE TABLE by_hand (
       seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, message_id VARCHAR(700) NOT NULL UNIQUE,
       topic VARCHAR(700) NOT NULL, message_type VARCHAR(50) NOT NULL, header LONGTEXT NOT NULL,
       body LONGBLOB NOT NULL, sent BIGINT NOT NULL DEFAULT 0,
       deposited_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, INDEX by_hand_unsent (sent, seq)
     ) ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "INSERT INTO by_hand (message_id, topic, message_type, header, body) VALUES (?, ?, ?, ?, ?)",
    |rows| marked(rows, |_| "?".to_owned())
);
