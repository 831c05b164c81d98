//! [`SqliteDesk`]: a desk in SQLite.

use std::path::Path;

use sqlx::{Sqlite, SqlitePool};

use crate::database::backend::Backend;
use crate::database::sqlite::Database;
use crate::opening::Opening;
use crate::store::DeskOptions;
use crate::store::desk::{self, SqlDesk, implement_desk};
use brighter_core::desk::DeskError;

/// A desk in tables of a SQLite database: dead letters and invalid messages, and the operations on them.
///
/// Any number of processes may share it.
///
/// ```no_run
/// use brighter::desk::SqliteDesk;
///
/// # async fn run() -> Result<(), brighter::BoxError> {
/// let store = SqliteDesk::open("tasks.db").await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct SqliteDesk(SqlDesk<Database>);

impl SqliteDesk {
    /// Opens this file, or creates it, and creates or upgrades the tables.
    ///
    /// # Errors
    /// Returns an error if the file cannot be opened, created or written, is no database, or has tables newer than this
    /// program: see [`DeskError`].
    pub fn open(path: impl AsRef<Path>) -> Opening<DeskOptions, Result<Self, DeskError>> {
        let path = path.as_ref().to_owned();
        Opening::new(async move |options: DeskOptions| {
            options.with_session()?;
            let database = Database::open(&path).await?;
            SqlDesk::open(database, &options).await.map(Self)
        })
    }

    /// Uses the application's own pool with its settings, and creates or upgrades the tables.
    ///
    /// # Errors
    /// Returns an error if the tables cannot be created, are newer than this program, cannot have the name in the
    /// options, or do not match their name and version: see [`DeskError`].
    pub fn from_pool(pool: SqlitePool) -> Opening<DeskOptions, Result<Self, DeskError>> {
        Opening::new(async move |options: DeskOptions| {
            options.with_session()?;
            SqlDesk::open(Database::new(pool), &options).await.map(Self)
        })
    }

    /// Returns the pool of connections to the database.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        self.0.backend().pool()
    }

    /// Returns the tables as SQL, for creating them by hand in a database that does not have them yet. A desk leaves
    /// existing tables unchanged.
    #[must_use]
    pub fn ddl() -> String {
        Self::ddl_for(&DeskOptions::default()).unwrap_or_default()
    }

    /// Returns the tables as SQL, for a desk with these options.
    ///
    /// # Errors
    /// Returns an error if the table cannot have this name.
    pub fn ddl_for(options: &DeskOptions) -> Result<String, DeskError> {
        desk::ddl::<Sqlite>(options)
    }
}

implement_desk!(SqliteDesk);
