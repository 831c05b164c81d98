//! [`TableError`]: why existing tables cannot be used.

/// Why an outbox or an inbox cannot use its tables. It is the source of
/// [`OutboxError::Tables`](brighter_core::outbox::OutboxError::Tables) and
/// [`InboxError::Tables`](brighter_core::inbox::InboxError::Tables). Each message says what to do.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The name is not valid for a table or schema.
    #[error("invalid name `{name}`: {reason}")]
    Name {
        /// The name.
        name: String,
        /// The reason.
        reason: String,
    },
    /// The schema does not exist (in MySQL: the database).
    #[error(
        "there is no schema `{schema}` in this database: make it, or name another by `schema` of the options"
    )]
    NoSchema {
        /// The name of the schema.
        schema: String,
    },
    /// The connection has no current schema: no schema of its `search_path` exists, or no database was selected.
    #[error(
        "the connection leads to no schema: name one by `schema` of the options, or in the connection's `search_path` or URL"
    )]
    NoCurrentSchema,
    /// The table exists in another schema than the one in which new tables are created.
    #[error(
        "the table `{table}` is in the schema `{found}`, and a new one would be made in `{current}`, the first of the \
         search_path: say which is meant, by `schema(\"{found}\")` or `schema(\"{current}\")` of the options"
    )]
    Elsewhere {
        /// The name of the table.
        table: String,
        /// The schema that has the table.
        found: String,
        /// The schema in which the connection creates tables.
        current: String,
    },
    /// The database can have the tables in one place only.
    #[error(
        "a SQLite file has its tables in `main`, not in `{schema}`: a commit in two files is not whole; open the other \
         file itself"
    )]
    OtherFile {
        /// The requested schema.
        schema: String,
    },
    /// The version of the table is stored, but the table does not exist.
    #[error(
        "`brighter_schema` has version {version} of the table `{table}`, which is gone: restore it with what was in it, or \
         delete the row `{key}` of `brighter_schema` to have an empty one made"
    )]
    Dropped {
        /// The name of the table.
        table: String,
        /// The stored version.
        version: i64,
        /// The key of the row in `brighter_schema`.
        key: String,
    },
    /// Another kind of table has this name.
    #[error(
        "`{table}` is another table than that of the {part}, for it has no column `{column}`: choose another name by `table` \
         of the options"
    )]
    NotOurs {
        /// The name of the table.
        table: String,
        /// The expected part: `outbox`, `inbox`, `archive`, `schedules`, `desk` or `broker`.
        part: &'static str,
        /// The missing column.
        column: &'static str,
    },
}

brighter_core::__private::readable_debug!(TableError);
