//! [`MySqlInbox`]: an inbox in MySQL or MariaDB.

use sqlx::{MySql, MySqlPool};

use crate::database::backend::Backend;
use crate::database::server::Server;
use crate::opening::Opening;
use crate::store::InboxOptions;
use crate::store::inbox::{self, SqlInbox, implement_inbox};
use brighter_core::inbox::InboxError;

/// An inbox in a table of a MySQL or MariaDB database. Use the database of the application's own tables, so that a
/// handler can [complete](brighter_core::inbox::complete_in) its request in its own transaction.
///
/// Any number of processes may share it. Handled requests are remembered for seven days, or for
/// [`InboxOptions::retention`]. No call takes longer than 30 seconds.
///
/// ```no_run
/// use brighter::MySqlInbox;
///
/// # async fn run() -> Result<(), brighter::BoxError> {
/// let inbox = MySqlInbox::connect("mysql://app:secret@localhost/tasks").await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct MySqlInbox(pub(super) SqlInbox<Server<MySql>>);

impl MySqlInbox {
    /// Connects to the database of this URL, and creates or upgrades the tables.
    ///
    /// # Errors
    /// Returns an error if the database cannot be reached, or has tables newer than this program: see [`InboxError`].
    /// No error contains the password.
    pub fn connect(url: impl Into<String>) -> Opening<InboxOptions, Result<Self, InboxError>> {
        let url = url.into();
        Opening::new(async move |options: InboxOptions| {
            if !options.has_session {
                return Err(InboxError::Unsupported("connections without a session"));
            }
            let server = Server::<MySql>::at(&url).await?;
            SqlInbox::open(server, &options).await.map(Self)
        })
    }

    /// Uses the application's own pool with its settings, and creates or upgrades the tables.
    ///
    /// # Errors
    /// Returns an error if the tables cannot be created, are newer than this program, cannot have the name in the
    /// options, or do not match their name and version: see [`InboxError`].
    pub fn from_pool(pool: MySqlPool) -> Opening<InboxOptions, Result<Self, InboxError>> {
        Opening::new(async move |options: InboxOptions| {
            if !options.has_session {
                return Err(InboxError::Unsupported("connections without a session"));
            }
            SqlInbox::open(Server::new(pool, true), &options).await.map(Self)
        })
    }

    /// Returns the pool of connections to the database, for beginning transactions.
    #[must_use]
    pub fn pool(&self) -> &MySqlPool {
        self.0.backend().pool()
    }

    /// Returns the tables as SQL, for creating them by hand in a database that does not have them yet. An inbox leaves
    /// existing tables unchanged.
    #[must_use]
    pub fn ddl() -> String {
        Self::ddl_for(&InboxOptions::default()).unwrap_or_default()
    }

    /// Returns the tables as SQL, for an inbox with these options.
    ///
    /// # Errors
    /// Returns an error if the table cannot have this name.
    pub fn ddl_for(options: &InboxOptions) -> Result<String, InboxError> {
        inbox::ddl::<MySql>(options)
    }
}

implement_inbox!(MySqlInbox, MySql);
