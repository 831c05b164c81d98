//! [`MySqlOutbox`]: an outbox in MySQL or MariaDB.

use sqlx::{MySql, MySqlPool};

use crate::database::backend::Backend;
use crate::database::server::Server;
use crate::opening::Opening;
use crate::store::OutboxOptions;
use crate::store::outbox::{self, SqlOutbox, implement_outbox};
use brighter_core::outbox::OutboxError;

/// An outbox in a table of a MySQL or MariaDB database. Use the database of the application's own tables: a message
/// that is deposited in the application's transaction is committed with it, or not at all.
///
/// Any number of processes may share it. Each claims other messages without waiting (`FOR UPDATE SKIP LOCKED`), by the
/// clock of the database. No call takes longer than 30 seconds. It needs MySQL 8.0.4 or MariaDB 10.6, or newer ones.
///
/// ```no_run
/// use brighter::message::{Message, MessageBody, MessageHeader, MessageType};
/// use brighter::outbox::OutboxTransaction;
/// use brighter::{MessageId, MySqlOutbox};
///
/// # async fn run() -> Result<(), brighter::BoxError> {
/// let outbox = MySqlOutbox::connect("mysql://app:secret@localhost/tasks").await?;
///
/// let header = MessageHeader::new(MessageId::new(), "Task.Reminder", MessageType::Command);
/// let reminder = Message::new(header, MessageBody::new("{}"));
///
/// let mut tx = outbox.pool().begin().await?;
/// sqlx::query("INSERT INTO tasks VALUES ('milk')").execute(&mut *tx).await?;
/// tx.deposit(&outbox, &[reminder]).await?;
/// tx.commit().await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct MySqlOutbox(SqlOutbox<Server<MySql>>);

impl MySqlOutbox {
    /// Connects to the database of this URL, and creates or upgrades the tables.
    ///
    /// # Errors
    /// Returns an error if the database cannot be reached, or has tables newer than this program: see [`OutboxError`].
    /// No error contains the password.
    pub fn connect(url: impl Into<String>) -> Opening<OutboxOptions, Result<Self, OutboxError>> {
        let url = url.into();
        Opening::new(async move |options: OutboxOptions| {
            if !options.has_session {
                return Err(OutboxError::Unsupported("connections without a session"));
            }
            let server = Server::<MySql>::at(&url).await?;
            SqlOutbox::open(server, &options).await.map(Self)
        })
    }

    /// Uses the application's own pool with its settings, and creates or upgrades the tables.
    ///
    /// # Errors
    /// Returns an error if the tables cannot be created, are newer than this program, cannot have the name in the
    /// options, or do not match their name and version: see [`OutboxError`].
    pub fn from_pool(pool: MySqlPool) -> Opening<OutboxOptions, Result<Self, OutboxError>> {
        Opening::new(async move |options: OutboxOptions| {
            if !options.has_session {
                return Err(OutboxError::Unsupported("connections without a session"));
            }
            SqlOutbox::open(Server::new(pool, true), &options).await.map(Self)
        })
    }

    /// Returns the pool of connections to the database, for beginning transactions.
    #[must_use]
    pub fn pool(&self) -> &MySqlPool {
        self.0.backend().pool()
    }

    /// Returns the tables as SQL, for creating them by hand in a database that does not have them yet. An outbox leaves
    /// existing tables unchanged.
    ///
    /// ```
    /// # use brighter::MySqlOutbox;
    /// assert!(MySqlOutbox::ddl().contains("CREATE TABLE IF NOT EXISTS `brighter_outbox`"));
    /// ```
    #[must_use]
    pub fn ddl() -> String {
        Self::ddl_for(&OutboxOptions::default()).unwrap_or_default()
    }

    /// Returns the tables as SQL, for an outbox with these options.
    ///
    /// # Errors
    /// Returns an error if the table cannot have this name.
    pub fn ddl_for(options: &OutboxOptions) -> Result<String, OutboxError> {
        outbox::ddl::<MySql>(options)
    }
}

implement_outbox!(MySqlOutbox, MySql, SqlOutbox::arrivals);
