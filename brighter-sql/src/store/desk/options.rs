//! [`DeskOptions`]: the options of a desk in a database.

use crate::database::dialect::Dialect;
use crate::database::names;
use crate::database::table_error::TableError;
use crate::database::table_ref::TableRef;
use brighter_core::desk::DeskError;

/// The default name of the table.
pub(crate) const TABLE: &str = "brighter_desk";

/// The options of a desk in a database.
///
/// ```
/// use brighter::store::DeskOptions;
///
/// let options = DeskOptions::default().table("orders_desk");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeskOptions {
    pub(super) table: String,
    pub(super) schema: Option<String>,
    pub(crate) has_session: bool,
}

impl Default for DeskOptions {
    /// Uses the table `brighter_desk`, and others whose names begin so.
    fn default() -> Self {
        Self {
            table: TABLE.into(),
            schema: None,
            has_session: true,
        }
    }
}

impl DeskOptions {
    /// Sets the name of the table, for several desks in one database. Other tables have this name with an ending. A name
    /// has at most 40 letters, digits and underscores, and does not begin with a digit.
    #[must_use]
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = name.into();
        self
    }

    /// Sets the schema of PostgreSQL, or the database of MySQL, in which the tables are. Without it they are in the
    /// current schema of the connection when the desk is opened. SQLite has only `main`.
    #[must_use]
    pub fn schema(mut self, name: impl Into<String>) -> Self {
        self.schema = Some(name.into());
        self
    }

    /// Uses nothing of a connection that outlasts a transaction, for PostgreSQL by way of PgBouncer with
    /// `pool_mode = transaction`.
    ///
    /// Opening a desk of another database with this option fails with [`DeskError::Unsupported`].
    #[must_use]
    pub fn without_session(mut self) -> Self {
        self.has_session = false;
        self
    }

    /// Refuses a database whose connections always have a session.
    #[cfg(any(feature = "sqlite", feature = "mysql"))]
    pub(crate) fn with_session(&self) -> Result<(), DeskError> {
        match self.has_session {
            true => Ok(()),
            false => Err(DeskError::Unsupported("connections without a session")),
        }
    }

    /// Returns the table, as scripts name it.
    pub(super) fn table_in_script(&self, dialect: &Dialect) -> Result<TableRef, DeskError> {
        let in_script = || {
            let schema = self.schema.as_deref().map(names::checked_schema).transpose()?;
            Ok(dialect.table(schema, names::checked(&self.table)?))
        };
        in_script().map_err(|error: TableError| DeskError::Tables(error.into()))
    }
}
