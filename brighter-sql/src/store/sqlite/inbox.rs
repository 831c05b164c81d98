//! [`SqliteInbox`]: an inbox in SQLite.

use std::path::Path;

use sqlx::{Sqlite, SqlitePool};

use crate::database::backend::Backend;
use crate::database::sqlite::Database;
use crate::opening::Opening;
use crate::store::InboxOptions;
use crate::store::inbox::{self, SqlInbox, implement_inbox};
use brighter_core::inbox::InboxError;

/// An inbox in a table of a SQLite database. Use the database of the application's own tables, so that a handler can
/// [complete](brighter_core::inbox::complete_in) its request in its own transaction.
///
/// Several processes may share the file. Handled requests are remembered for seven days, or for
/// [`InboxOptions::retention`]. A call waits at most five seconds for its turn and five for the lock.
///
/// ```
/// use brighter::SqliteInbox;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("tasks.db");
/// let inbox = SqliteInbox::open(&path).await?;
/// # Ok::<(), brighter::BoxError>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct SqliteInbox(pub(super) SqlInbox<Database>);

impl SqliteInbox {
    /// Opens this file, or creates it, and creates or upgrades the tables: see
    /// [`SqliteOutbox::open`](super::SqliteOutbox::open).
    ///
    /// # Errors
    /// Returns an error if the file cannot be opened, created or written, is no database, or has tables newer than this
    /// program: see [`InboxError`].
    pub fn open(path: impl AsRef<Path>) -> Opening<InboxOptions, Result<Self, InboxError>> {
        let path = path.as_ref().to_owned();
        Opening::new(async move |options: InboxOptions| {
            if !options.has_session {
                return Err(InboxError::Unsupported("connections without a session"));
            }
            let database = Database::open(&path).await?;
            SqlInbox::open(database, &options).await.map(Self)
        })
    }

    /// Uses the application's own pool with its settings, and creates or upgrades the tables.
    ///
    /// # Errors
    /// Returns an error if the tables cannot be created, are newer than this program, cannot have the name in the
    /// options, or do not match their name and version: see [`InboxError`].
    pub fn from_pool(pool: SqlitePool) -> Opening<InboxOptions, Result<Self, InboxError>> {
        Opening::new(async move |options: InboxOptions| {
            if !options.has_session {
                return Err(InboxError::Unsupported("connections without a session"));
            }
            SqlInbox::open(Database::new(pool), &options).await.map(Self)
        })
    }

    /// Returns the pool of connections to the database, for beginning transactions.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
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
        inbox::ddl::<Sqlite>(options)
    }
}

implement_inbox!(SqliteInbox, Sqlite);
