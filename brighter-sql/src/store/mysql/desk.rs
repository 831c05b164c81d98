//! [`MySqlDesk`]: a desk in MySQL or MariaDB.

use sqlx::{MySql, MySqlPool};

use crate::database::backend::Backend;
use crate::database::server::Server;
use crate::opening::Opening;
use crate::store::DeskOptions;
use crate::store::desk::{self, SqlDesk, implement_desk};
use brighter_core::desk::DeskError;

/// A desk in tables of a MySQL or MariaDB database: dead letters and invalid messages, and the operations on them.
///
/// Any number of processes may share it.
///
/// ```no_run
/// use brighter::desk::MySqlDesk;
///
/// # async fn run() -> Result<(), brighter::BoxError> {
/// let store = MySqlDesk::connect("mysql://app:secret@localhost/tasks").await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct MySqlDesk(SqlDesk<Server<MySql>>);

impl MySqlDesk {
    /// Connects to the database of this URL, and creates or upgrades the tables.
    ///
    /// # Errors
    /// Returns an error if the database cannot be reached, or has tables newer than this program: see [`DeskError`].
    /// No error contains the password.
    pub fn connect(url: impl Into<String>) -> Opening<DeskOptions, Result<Self, DeskError>> {
        let url = url.into();
        Opening::new(async move |options: DeskOptions| {
            options.with_session()?;
            let server = Server::<MySql>::at(&url).await?;
            SqlDesk::open(server, &options).await.map(Self)
        })
    }

    /// Uses the application's own pool with its settings, and creates or upgrades the tables.
    ///
    /// # Errors
    /// Returns an error if the tables cannot be created, are newer than this program, cannot have the name in the
    /// options, or do not match their name and version: see [`DeskError`].
    pub fn from_pool(pool: MySqlPool) -> Opening<DeskOptions, Result<Self, DeskError>> {
        Opening::new(async move |options: DeskOptions| {
            options.with_session()?;
            SqlDesk::open(Server::new(pool, true), &options).await.map(Self)
        })
    }

    /// Returns the pool of connections to the database.
    #[must_use]
    pub fn pool(&self) -> &MySqlPool {
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
        desk::ddl::<MySql>(options)
    }
}

implement_desk!(MySqlDesk);
