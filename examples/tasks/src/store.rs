//! [`ReminderStore`]: the reminders of the API, in the database that also holds its outbox.

use std::path::Path;
use std::sync::Arc;

use brighter::outbox::{Inspection, MessageState, OutboxError};
use brighter::processor::PostError;
use brighter::{CommandProcessor, MessageId, SqliteOutbox};
use serde::Serialize;
use tokio::sync::Mutex;

use crate::message::TaskReminder;

/// What the API keeps of each reminder, beside the message in the outbox.
const TABLE: &str = "\
CREATE TABLE IF NOT EXISTS reminders (
  id        TEXT PRIMARY KEY,
  task_name TEXT NOT NULL,
  due       TEXT NOT NULL,
  recipient TEXT NOT NULL,
  stored_at TEXT NOT NULL
) STRICT";

const INSERT: &str = "\
INSERT INTO reminders (id, task_name, due, recipient, stored_at)
VALUES (?1, ?2, ?3, ?4, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))";

const FIND: &str = "SELECT task_name, due, recipient, stored_at FROM reminders WHERE id = ?1";

/// The reminders, and the outbox beside them.
#[derive(Debug, Clone)]
pub struct ReminderStore {
    outbox: SqliteOutbox,
    /// SQLite has one writer at a time. Those who wait for it here wait in turn; those who wait for it there
    /// look again at growing intervals.
    turn: Arc<Mutex<()>>,
}

/// A reminder, and how far it has come as far as this side knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredReminder {
    /// Which.
    pub id: MessageId,
    /// What is to be done.
    pub task_name: String,
    /// By when.
    pub due: String,
    /// Whom to remind.
    pub recipient: String,
    /// When it was stored, in UTC.
    pub stored_at: String,
    /// Whether the broker has it. Whether it was mailed only the worker knows.
    pub sent: bool,
    /// Why the broker did not take it the last time, if it said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_sent_because: Option<String>,
}

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The outbox in it.
    #[error("the outbox failed")]
    Outbox(#[from] OutboxError),
    /// The message could not be deposited.
    #[error("the message could not be deposited")]
    Deposit(#[from] PostError),
}

impl ReminderStore {
    /// Opens this database file, and makes it and its tables if they are missing.
    ///
    /// # Errors
    /// It cannot be opened.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let outbox = SqliteOutbox::open(path).await?;
        sqlx::query(TABLE).execute(outbox.pool()).await?;
        Ok(Self {
            outbox,
            turn: Arc::default(),
        })
    }

    /// The outbox, for the builder of the processor.
    #[must_use]
    pub fn outbox(&self) -> SqliteOutbox {
        self.outbox.clone()
    }

    /// Stores these reminders and deposits their messages, all in one transaction: afterwards either every
    /// reminder is stored and will be sent, or there is no trace of any.
    ///
    /// # Errors
    /// Nothing was stored; but if it was the commit that failed, nobody can say.
    pub async fn add(
        &self,
        processor: &CommandProcessor,
        reminders: Vec<TaskReminder>,
    ) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let mut tx = self.outbox.pool().begin_with("BEGIN IMMEDIATE").await?;
        for reminder in reminders {
            sqlx::query(INSERT)
                .bind(reminder.id.to_string())
                .bind(&reminder.task_name)
                .bind(&reminder.due)
                .bind(&reminder.recipient)
                .execute(&mut *tx)
                .await?;
            processor.deposit_post(&mut tx, reminder).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The reminder of this id, if there is one.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn find(&self, id: &MessageId) -> Result<Option<StoredReminder>, StoreError> {
        let row: Option<(String, String, String, String)> = sqlx::query_as(FIND)
            .bind(id.to_string())
            .fetch_optional(self.outbox.pool())
            .await?;
        let Some((task_name, due, recipient, stored_at)) = row else {
            return Ok(None);
        };
        let (sent, not_sent_because) = match self.outbox.state(id).await? {
            Some(MessageState::Outstanding { last_error, .. }) => (false, last_error),
            // One that is gone from the outbox was sent, and archived since.
            _ => (true, None),
        };
        Ok(Some(StoredReminder {
            id: id.clone(),
            task_name,
            due,
            recipient,
            stored_at,
            sent,
            not_sent_because,
        }))
    }
}
