//! The [`PostgresOutbox`].

use sqlx::{PgPool, Postgres};

use super::listening;
use crate::database::backend::Backend;
use crate::database::server::Server;
use crate::opening::Opening;
use crate::store::OutboxOptions;
use crate::store::outbox::{self, SqlOutbox, implement_outbox};
use brighter_core::outbox::OutboxError;

/// An outbox in a table of a PostgreSQL database, best the one in which the application keeps its own tables: a
/// message deposited in the application's transaction is committed with it, or not at all.
///
/// Any number of processes may share it: each claims other messages, without waiting for the others
/// (`FOR UPDATE SKIP LOCKED`), by the clock of the database. No call takes longer than 30 seconds.
///
/// A sweeper learns of every commit at once, by whichever process or program, over a connection of its own (`LISTEN`).
/// Where that is not to be had it looks at intervals; behind PgBouncer in transaction mode, say
/// [`OutboxOptions::without_session`].
///
/// It needs version 12 or newer. The tables are in the schema that [`OutboxOptions::schema`] names, or in the first of the
/// connection's `search_path` when the outbox is opened.
///
/// ```no_run
/// use brighter::message::{Message, MessageBody, MessageHeader, MessageType};
/// use brighter::outbox::OutboxTransaction;
/// use brighter::{MessageId, PostgresOutbox};
///
/// # async fn run() -> Result<(), brighter::BoxError> {
/// let outbox = PostgresOutbox::connect("postgres://app:secret@localhost/tasks").await?;
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
pub struct PostgresOutbox(SqlOutbox<Server<Postgres>>);

impl PostgresOutbox {
    /// Connects to the database of this URL, and makes the tables or brings them up to date.
    ///
    /// # Errors
    /// The database cannot be reached, or has tables newer than this program: see [`OutboxError`]. No error holds
    /// the password.
    pub fn connect(url: impl Into<String>) -> Opening<OutboxOptions, Result<Self, OutboxError>> {
        let url = url.into();
        Opening::new(async move |options: OutboxOptions| {
            let server = Server::<Postgres>::at(&url, options.has_session).await?;
            SqlOutbox::open(server, &options).await.map(Self)
        })
    }

    /// Uses the application's own pool, whose settings stay as they are, and makes the tables or brings them up
    /// to date.
    ///
    /// # Errors
    /// The tables cannot be made, are newer than this program, cannot have the name that the options say, or
    /// are not what their name and version say: see
    /// [`OutboxError`].
    pub fn from_pool(pool: PgPool) -> Opening<OutboxOptions, Result<Self, OutboxError>> {
        Opening::new(async move |options: OutboxOptions| {
            let server = Server::new(pool, options.has_session);
            SqlOutbox::open(server, &options).await.map(Self)
        })
    }

    /// The pool of connections to the database, to begin a transaction with.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        self.0.backend().pool()
    }

    /// The tables as SQL, for those who make them by hand in a database that has none of them yet. An outbox
    /// that finds them leaves them as they are.
    ///
    /// ```
    /// # use brighter::PostgresOutbox;
    /// assert!(PostgresOutbox::ddl().contains("CREATE TABLE IF NOT EXISTS \"brighter_outbox\""));
    /// ```
    #[must_use]
    pub fn ddl() -> String {
        Self::ddl_for(&OutboxOptions::default()).unwrap_or_default()
    }

    /// The tables as SQL, for an outbox with these options.
    ///
    /// # Errors
    /// The table cannot have that name.
    pub fn ddl_for(options: &OutboxOptions) -> Result<String, OutboxError> {
        outbox::ddl::<Postgres>(options)
    }
}

implement_outbox!(PostgresOutbox, Postgres, listening::arrivals);
