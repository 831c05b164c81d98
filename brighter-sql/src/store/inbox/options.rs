//! [`InboxOptions`]: the options of an inbox in a database.

use std::time::Duration;

use crate::database::dialect::Dialect;
use crate::database::names;
use crate::database::table_error::TableError;
use crate::database::table_ref::TableRef;
use brighter_core::inbox::InboxError;

/// The default name of the table.
pub(crate) const TABLE: &str = "brighter_inbox";

/// The options of an inbox in a database.
///
/// ```
/// use std::time::Duration;
/// use brighter::store::InboxOptions;
///
/// let options = InboxOptions::default().retention(Duration::from_secs(30 * 24 * 60 * 60));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxOptions {
    pub(super) table: String,
    pub(super) schema: Option<String>,
    pub(crate) has_session: bool,
    pub(super) retention: Duration,
}

impl Default for InboxOptions {
    /// Uses the table `brighter_inbox`, and remembers handled requests for seven days.
    fn default() -> Self {
        Self {
            table: TABLE.into(),
            schema: None,
            has_session: true,
            retention: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

impl InboxOptions {
    /// Sets the name of the table, for several inboxes in one database. A name has at most 40 letters, digits and
    /// underscores, and does not begin with a digit.
    #[must_use]
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = name.into();
        self
    }

    /// Sets the schema of PostgreSQL, or the database of MySQL, in which the tables are. Without it they are in the
    /// current schema of the connection when the inbox is opened: the first of its `search_path` that exists, or the
    /// database of its URL. The schema must exist. SQLite has only `main`.
    #[must_use]
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = Some(name.into());
        self
    }

    /// Uses nothing of a connection that outlasts a transaction, for PostgreSQL by way of PgBouncer with
    /// `pool_mode = transaction`: no statement stays prepared, each call is a transaction of its own. Each call has two
    /// more ways to the server and back. See
    /// [PgBouncer](https://github.com/brighter-rs/brighter/blob/main/docs/book/src/how-to/pgbouncer.md).
    ///
    /// Opening an inbox of another database with this option fails with [`InboxError::Unsupported`].
    #[must_use]
    pub fn without_session(mut self) -> Self {
        self.has_session = false;
        self
    }

    /// Sets how long handled requests are remembered. It must be longer than the latest duplicate can take to arrive.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Returns the table, as scripts name it.
    pub(super) fn table_in_script(&self, dialect: &Dialect) -> Result<TableRef, InboxError> {
        let in_script = || {
            let schema = self.schema.as_deref().map(names::checked_schema).transpose()?;
            Ok(dialect.table(schema, names::checked(&self.table)?))
        };
        in_script().map_err(|error: TableError| InboxError::Tables(error.into()))
    }
}
