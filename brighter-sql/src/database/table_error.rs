//! [`TableError`]: why the tables cannot be used as they are.

/// Why an outbox or an inbox cannot use the tables as they are. It is the source of
/// [`OutboxError::Tables`](brighter_core::outbox::OutboxError::Tables) and
/// [`InboxError::Tables`](brighter_core::inbox::InboxError::Tables); each says what to do.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// A name that no table or schema of ours may have.
    #[error("`{name}` cannot be the name: {reason}")]
    Name {
        /// The name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// There is no such schema (in MySQL: database), or the connection has none.
    #[error(
        "there is no schema `{schema}` in this database: make it, or name another by `schema` of the options"
    )]
    NoSchema {
        /// The schema.
        schema: String,
    },
    /// The connection has no schema of its own: nothing of its `search_path` exists, or no database was chosen.
    #[error(
        "the connection leads to no schema: name one by `schema` of the options, or in the connection's `search_path` or URL"
    )]
    NoCurrentSchema,
    /// The table is there, but in another schema than that in which new ones are made.
    #[error(
        "the table `{table}` is in the schema `{found}`, and a new one would be made in `{current}`, the first of the \
         search_path: say which is meant, by `schema(\"{found}\")` or `schema(\"{current}\")` of the options"
    )]
    Elsewhere {
        /// The table.
        table: String,
        /// Where it is.
        found: String,
        /// Where the connection makes new ones.
        current: String,
    },
    /// The database can only have the tables in one place.
    #[error(
        "a SQLite file has its tables in `main`, not in `{schema}`: a commit in two files is not whole; open the other \
         file itself"
    )]
    OtherFile {
        /// The schema that was asked for.
        schema: String,
    },
    /// The version of the table is noted, and the table is gone.
    #[error(
        "`brighter_schema` has version {version} of the table `{table}`, which is gone: restore it with what was in it, or \
         delete the row `{key}` of `brighter_schema` to have an empty one made"
    )]
    Dropped {
        /// The table.
        table: String,
        /// The version that is noted.
        version: i64,
        /// The row of `brighter_schema`.
        key: String,
    },
    /// Another kind of table has that name.
    #[error(
        "`{table}` is another table than that of the {part}, for it has no column `{column}`: choose another name by `table` \
         of the options"
    )]
    NotOurs {
        /// The table.
        table: String,
        /// What was to be there: `outbox`, `inbox`, `archive` or `broker`.
        part: &'static str,
        /// What it lacks.
        column: &'static str,
    },
}

brighter_core::__private::readable_debug!(TableError);
