//! A transfer of money whose effect happens exactly once, however often its command comes and wherever the process dies.
//!
//! `#[transactional]` begins a transaction with the key of the request in the inbox. The handler moves the money in it,
//! and deposits the message that tells of it. Either all of it is committed or nothing, so a command that comes again
//! finds either nothing of its first handling, or all of it. What the outbox then sends it may send twice, with the same
//! id; its receivers do as this handler does.

use brighter::prelude::*;
use brighter::{MessageId, SqliteInbox, SqliteOutbox};
use sqlx::{SqlitePool, SqliteTransaction};

/// Move money from one account to another.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Bank.Transfer")]
pub struct Transfer {
    /// Under which the transfer is known, however often it is asked for.
    pub id: MessageId,
    /// Whose money it is.
    pub from: String,
    /// Who gets it.
    pub to: String,
    /// How much.
    pub cents: i64,
}

/// Money was moved.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Bank.Transferred", kind = "event")]
pub struct Transferred {
    /// Who got it.
    pub to: String,
    /// How much.
    pub cents: i64,
}

/// Moves money.
pub struct TransferHandler {
    /// Called before the commit: for a test to fail there, or a process to die.
    before_commit: fn(&Transfer) -> Result<(), BoxError>,
}

#[handler]
impl Handler<Transfer> for TransferHandler {
    #[transactional(step = 1)]
    async fn handle(
        &self,
        transfer: &Transfer,
        tx: &mut SqliteTransaction<'_>,
        cx: &Context,
    ) -> Result<(), BoxError> {
        // The effect.
        for (account, cents) in [(&transfer.from, -transfer.cents), (&transfer.to, transfer.cents)] {
            sqlx::query("UPDATE accounts SET cents = cents + ? WHERE name = ?")
                .bind(cents)
                .bind(account)
                .execute(&mut **tx)
                .await?;
        }
        // What follows from it.
        let transferred = Transferred {
            to: transfer.to.clone(),
            cents: transfer.cents,
        };
        cx.deposit_post(tx, transferred).await?;
        (self.before_commit)(transfer)
    }
}

/// A bank in a database file, on a broker.
///
/// # Errors
/// The file cannot be opened, or the processor is wired wrongly.
pub async fn bank(
    path: &std::path::Path,
    broker: impl brighter::channel::Broker,
    before_commit: fn(&Transfer) -> Result<(), BoxError>,
) -> Result<(CommandProcessor, SqlitePool), BoxError> {
    let outbox = SqliteOutbox::open(path).await?;
    let pool = outbox.pool().clone();
    let inbox = SqliteInbox::from_pool(pool.clone()).await?;
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, cents INTEGER NOT NULL);
         INSERT OR IGNORE INTO accounts VALUES ('ann', 1000), ('bob', 1000);",
    )
    .execute(&pool)
    .await?;
    let processor = CommandProcessor::builder()
        .handler(TransferHandler { before_commit })
        .broker(broker)
        .outbox(outbox)
        .inbox(inbox)
        .build()?;
    Ok((processor, pool))
}

/// How much is on an account.
///
/// # Errors
/// The database cannot be read.
pub async fn cents(pool: &SqlitePool, account: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT cents FROM accounts WHERE name = ?")
        .bind(account)
        .fetch_one(pool)
        .await
}
