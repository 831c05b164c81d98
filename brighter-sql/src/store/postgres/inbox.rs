//! The [`PostgresInbox`].

use sqlx::{PgPool, Postgres};

use crate::database::backend::Backend;
use crate::database::server::Server;
use crate::opening::Opening;
use crate::store::InboxOptions;
use crate::store::inbox::{self, SqlInbox, implement_inbox};
use brighter_core::inbox::InboxError;

/// An inbox in a table of a PostgreSQL database, best the one in which the application keeps its own tables: then a
/// handler can [complete](brighter_core::inbox::complete_in) its request in its own transaction.
///
/// Any number of processes may share it. What was handled is remembered for seven days, or as long as
/// [`InboxOptions::retention`] says. No call takes longer than 30 seconds.
///
/// ```no_run
/// use brighter::PostgresInbox;
///
/// # async fn run() -> Result<(), brighter::BoxError> {
/// let inbox = PostgresInbox::connect("postgres://app:secret@localhost/tasks").await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct PostgresInbox(SqlInbox<Server<Postgres>>);

impl PostgresInbox {
    /// Connects to the database of this URL, and makes the tables or brings them up to date.
    ///
    /// # Errors
    /// The database cannot be reached, or has tables newer than this program: see [`InboxError`]. No error holds the
    /// password.
    pub fn connect(url: impl Into<String>) -> Opening<InboxOptions, Result<Self, InboxError>> {
        let url = url.into();
        Opening::new(async move |options: InboxOptions| {
            let server = Server::<Postgres>::at(&url, options.has_session).await?;
            SqlInbox::open(server, &options).await.map(Self)
        })
    }

    /// Uses the application's own pool, whose settings stay as they are, and makes the tables or brings them up
    /// to date.
    ///
    /// # Errors
    /// The tables cannot be made, are newer than this program, cannot have the name that the options say, or
    /// are not what their name and version say: see
    /// [`InboxError`].
    pub fn from_pool(pool: PgPool) -> Opening<InboxOptions, Result<Self, InboxError>> {
        Opening::new(async move |options: InboxOptions| {
            let server = Server::new(pool, options.has_session);
            SqlInbox::open(server, &options).await.map(Self)
        })
    }

    /// The pool of connections to the database, to begin a transaction with.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        self.0.backend().pool()
    }

    /// The tables as SQL, for those who make them by hand in a database that has none of them yet. An inbox that
    /// finds them leaves them as they are.
    #[must_use]
    pub fn ddl() -> String {
        Self::ddl_for(&InboxOptions::default()).unwrap_or_default()
    }

    /// The tables as SQL, for an inbox with these options.
    ///
    /// # Errors
    /// The table cannot have that name.
    pub fn ddl_for(options: &InboxOptions) -> Result<String, InboxError> {
        inbox::ddl::<Postgres>(options)
    }
}

implement_inbox!(PostgresInbox, Postgres);
