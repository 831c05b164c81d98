//! The [`SqliteInbox`].

use std::path::Path;

use sqlx::{Sqlite, SqlitePool};

use crate::database::backend::Backend;
use crate::database::sqlite::Database;
use crate::opening::Opening;
use crate::store::InboxOptions;
use crate::store::inbox::{self, SqlInbox, implement_inbox};
use brighter_core::inbox::InboxError;

/// An inbox in a table of a SQLite database, best the one in which the application keeps its own tables: then a
/// handler can [complete](brighter_core::inbox::complete_in) its request in its own transaction.
///
/// Several processes may share the file. What was handled is remembered for seven days, or as long as
/// [`InboxOptions::retention`] says. No call waits longer than five seconds for its turn and
/// five for the lock.
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
pub struct SqliteInbox(SqlInbox<Database>);

impl SqliteInbox {
    /// Opens this file, makes it if it is missing, and makes the tables or brings them up to date: see
    /// [`SqliteOutbox::open`](super::SqliteOutbox::open).
    ///
    /// # Errors
    /// The file cannot be opened, made or written, is no database, or has tables newer than this program: see
    /// [`InboxError`].
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

    /// Uses the application's own pool, whose settings stay as they are, and makes the tables or brings them up
    /// to date.
    ///
    /// # Errors
    /// The tables cannot be made, are newer than this program, cannot have the name that the options say, or
    /// are not what their name and version say: see
    /// [`InboxError`].
    pub fn from_pool(pool: SqlitePool) -> Opening<InboxOptions, Result<Self, InboxError>> {
        Opening::new(async move |options: InboxOptions| {
            if !options.has_session {
                return Err(InboxError::Unsupported("connections without a session"));
            }
            SqlInbox::open(Database::new(pool), &options).await.map(Self)
        })
    }

    /// The pool of connections to the database, to begin a transaction with.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
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
        inbox::ddl::<Sqlite>(options)
    }
}

implement_inbox!(SqliteInbox, Sqlite);
