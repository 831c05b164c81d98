//! [`OutboxOptions`]: the options of an outbox in a database.

use crate::database::dialect::Dialect;
use crate::database::names;
use crate::database::table_error::TableError;
use crate::database::table_ref::TableRef;
use brighter_core::outbox::OutboxError;

/// The default name of the table.
pub(crate) const TABLE: &str = "brighter_outbox";

/// The options of an outbox in a database.
///
/// ```
/// use brighter::store::OutboxOptions;
///
/// let options = OutboxOptions::default().table("orders_outbox").limit(100_000);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxOptions {
    pub(super) table: String,
    pub(super) schema: Option<String>,
    pub(crate) has_session: bool,
    pub(super) limit: Option<u64>,
    pub(super) has_archive: bool,
    pub(super) has_schedules: bool,
}

impl Default for OutboxOptions {
    /// Uses the table `brighter_outbox`, without a limit of messages.
    fn default() -> Self {
        Self {
            table: TABLE.into(),
            schema: None,
            has_session: true,
            limit: None,
            has_archive: false,
            has_schedules: false,
        }
    }
}

impl OutboxOptions {
    /// Sets the name of the table, for several outboxes in one database. A name has at most 40 letters, digits and
    /// underscores, and does not begin with a digit.
    #[must_use]
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = name.into();
        self
    }

    /// Sets the schema of PostgreSQL, or the database of MySQL, in which the tables are. Without it they are in the
    /// current schema of the connection when the outbox is opened: the first of its `search_path` that exists, or the
    /// database of its URL. The schema must exist. SQLite has only `main`.
    #[must_use]
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = Some(name.into());
        self
    }

    /// Sets how many messages may be outstanding, so that a long outage of the broker does not fill the disk. A deposit
    /// beyond the limit fails with [`OutboxError::Full`].
    ///
    /// The messages are counted at most once a second, so each of several processes may store as many as fit at that
    /// moment.
    #[must_use]
    pub fn limit(mut self, messages: u64) -> Self {
        self.limit = Some(messages);
        self
    }

    /// Uses nothing of a connection that outlasts a transaction, for PostgreSQL by way of PgBouncer with
    /// `pool_mode = transaction`: no statement stays prepared, each call is a transaction of its own, and a
    /// sweeper looks at intervals for what other processes have stored. Each call has two
    /// more ways to the server and back. See
    /// [PgBouncer](https://github.com/brighter-rs/brighter/blob/main/docs/book/src/how-to/pgbouncer.md).
    ///
    /// Opening an outbox of another database with this option fails with [`OutboxError::Unsupported`].
    #[must_use]
    pub fn without_session(mut self) -> Self {
        self.has_session = false;
        self
    }

    /// Creates the table of the archive when the outbox is opened, and includes it in the tables as SQL. Without this,
    /// the first [`Archiver::move_after`] that finds an old message creates it. Its name is that of the table with the
    /// suffix `_archive`.
    ///
    /// [`Archiver::move_after`]: https://docs.rs/brighter/latest/brighter/struct.Archiver.html#method.move_after
    #[must_use]
    pub fn archive(mut self) -> Self {
        self.has_archive = true;
        self
    }

    /// Creates the table of schedules when the outbox is opened, and includes it in the tables as SQL. Without this, a
    /// processor with recurring work creates it when it first looks for schedules. Its name is that of the table with
    /// the suffix `_schedules`.
    #[must_use]
    pub fn schedules(mut self) -> Self {
        self.has_schedules = true;
        self
    }

    /// Returns the table, as scripts name it.
    pub(super) fn table_in_script(&self, dialect: &Dialect) -> Result<TableRef, OutboxError> {
        let in_script = || {
            let schema = self.schema.as_deref().map(names::checked_schema).transpose()?;
            Ok(dialect.table(schema, names::checked(&self.table)?))
        };
        in_script().map_err(|error: TableError| OutboxError::Tables(error.into()))
    }
}
