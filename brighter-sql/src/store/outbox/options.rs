//! The [`OutboxOptions`].

use crate::database::dialect::Dialect;
use crate::database::names;
use crate::database::table_error::TableError;
use crate::database::table_ref::TableRef;
use brighter_core::outbox::OutboxError;

/// The table of an outbox unless told otherwise.
pub(crate) const TABLE: &str = "brighter_outbox";

/// What may be chosen of an outbox in a database.
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
}

impl Default for OutboxOptions {
    /// The table `brighter_outbox`, and as many messages as the disk holds.
    fn default() -> Self {
        Self {
            table: TABLE.into(),
            schema: None,
            has_session: true,
            limit: None,
            has_archive: false,
        }
    }
}

impl OutboxOptions {
    /// Sets the name of the table, for two outboxes in one database: letters, digits and underscores, at most 40 of
    /// them, and no digit first.
    #[must_use]
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = name.into();
        self
    }

    /// Sets the schema of PostgreSQL in which the tables are, or the database of MySQL. Without it they are in the current
    /// one of the connection when the outbox is opened: the first of its `search_path` that exists, or the database of its
    /// URL. It must be there. SQLite has `main` alone.
    #[must_use]
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = Some(name.into());
        self
    }

    /// How many messages may be outstanding, so that a broker that is away for long does not fill the disk: a
    /// deposit beyond it is refused with [`OutboxError::Full`].
    ///
    /// They are counted once a second at most, so of several processes each may store what fits at that moment.
    #[must_use]
    pub fn limit(mut self, messages: u64) -> Self {
        self.limit = Some(messages);
        self
    }

    /// Uses nothing of a connection that outlasts a transaction, for PostgreSQL by way of PgBouncer with
    /// `pool_mode = transaction`: no statement stays prepared, each call is a transaction of its own, and a
    /// sweeper looks at intervals for what other processes have stored. Each call has two
    /// more ways to the server and back. See
    /// [PgBouncer](https://github.com/brighter-rs/brighter/blob/main/docs/pgbouncer.md).
    ///
    /// Of other databases it is [`OutboxError::Unsupported`] when they are opened.
    #[must_use]
    pub fn without_session(mut self) -> Self {
        self.has_session = false;
        self
    }

    /// Makes the table of the archive when the outbox is opened, and has it in the tables as SQL. Without this, the first
    /// [`Archiver::move_after`] that finds something old makes it. It is called like the table, with `_archive` after it.
    ///
    /// [`Archiver::move_after`]: https://docs.rs/brighter/latest/brighter/struct.Archiver.html#method.move_after
    #[must_use]
    pub fn archive(mut self) -> Self {
        self.has_archive = true;
        self
    }

    /// The table as its scripts name it.
    pub(super) fn table_in_script(&self, dialect: &Dialect) -> Result<TableRef, OutboxError> {
        let in_script = || {
            let schema = self.schema.as_deref().map(names::checked_schema).transpose()?;
            Ok(dialect.table(schema, names::checked(&self.table)?))
        };
        in_script().map_err(|error: TableError| OutboxError::Tables(error.into()))
    }
}
