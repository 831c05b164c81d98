//! [`DatabaseError`]: the meaning of an error of a database.

use std::io;

use brighter_core::error::BoxError;

use super::table_error::TableError;

/// The meaning of an error of a database.
#[derive(Debug)]
pub(crate) enum DatabaseError {
    Full(BoxError),
    Unavailable(BoxError),
    /// This user may not write, or the database is read-only.
    ReadOnly(BoxError),
    /// The server is read-only for now: the connection leads to a server that has become a standby.
    Standby(BoxError),
    /// Another transaction conflicted: the whole transaction may be retried.
    Conflict(BoxError),
    NewerSchema {
        found: i64,
        known: i64,
    },
    Tables(TableError),
    Other(BoxError),
}

#[cfg(any(feature = "postgres", feature = "mysql"))]
impl DatabaseError {
    /// Returns the error with another source.
    pub(crate) fn map_source(self, map: impl FnOnce(BoxError) -> BoxError) -> Self {
        match self {
            Self::Full(source) => Self::Full(map(source)),
            Self::Unavailable(source) => Self::Unavailable(map(source)),
            Self::ReadOnly(source) => Self::ReadOnly(map(source)),
            Self::Standby(source) => Self::Standby(map(source)),
            Self::Conflict(source) => Self::Conflict(map(source)),
            Self::Other(source) => Self::Other(map(source)),
            Self::NewerSchema { .. } | Self::Tables(_) => self,
        }
    }
}

impl From<TableError> for DatabaseError {
    fn from(error: TableError) -> Self {
        Self::Tables(error)
    }
}

/// The reaction to an error, for every error type of a caller.
pub(crate) trait Consequence {
    /// Returns whether the transaction may be retried from its beginning.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "mysql")),
        expect(dead_code, reason = "in SQLite a writer has the whole file")
    )]
    fn is_conflict(&self) -> bool;

    /// Returns whether the connection leads to a server that cannot be written.
    fn is_standby(&self) -> bool;
}

/// Implements [`Consequence`] for an error with these two variants.
macro_rules! implement_consequence {
    ($error:ident) => {
        impl $crate::database::error::Consequence for $error {
            fn is_conflict(&self) -> bool {
                matches!(self, Self::Conflict(_))
            }

            fn is_standby(&self) -> bool {
                matches!(self, Self::Standby(_))
            }
        }
    };
}

pub(crate) use implement_consequence;

implement_consequence!(DatabaseError);

/// An error with advice, where the database gives none.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
#[derive(Debug, thiserror::Error)]
#[error("{advice}")]
pub(crate) struct Advised {
    advice: &'static str,
    source: BoxError,
}

#[cfg(any(feature = "postgres", feature = "sqlite"))]
impl Advised {
    pub(crate) fn boxed(advice: &'static str, source: BoxError) -> BoxError {
        Self { advice, source }.into()
    }
}

/// Implements `From<DatabaseError>` for a public error with the same variants, or for that of the broker's file, which
/// has fewer.
macro_rules! from_database_error {
    ($error:ident) => {
        $crate::database::error::from_database_error!($error, Other, Unavailable, Unavailable);
    };
    ($error:ident, $tables:ident, $standby:ident, $conflict:ident) => {
        impl From<$crate::database::error::DatabaseError> for $error {
            fn from(error: $crate::database::error::DatabaseError) -> Self {
                use $crate::database::error::DatabaseError;

                match error {
                    DatabaseError::Full(source) => Self::Full(source),
                    DatabaseError::Unavailable(source) => Self::Unavailable(source),
                    DatabaseError::ReadOnly(source) => Self::ReadOnly(source),
                    DatabaseError::NewerSchema { found, known } => Self::NewerSchema { found, known },
                    DatabaseError::Standby(source) => Self::$standby(source),
                    DatabaseError::Conflict(source) => Self::$conflict(source),
                    DatabaseError::Tables(source) => Self::$tables(source.into()),
                    DatabaseError::Other(source) => Self::Other(source),
                }
            }
        }
    };
}

pub(crate) use from_database_error;

/// A constructor of the error from its source.
pub(crate) type Sort = fn(BoxError) -> DatabaseError;

/// Classifies an error; `of_database` does so for errors that the database itself returned.
pub(crate) fn sorted(error: sqlx::Error, of_database: fn(&sqlx::Error) -> Sort) -> DatabaseError {
    let sort: Sort = match &error {
        sqlx::Error::Database(_) => of_database(&error),
        sqlx::Error::Io(error) => match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DatabaseError::Full,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => DatabaseError::ReadOnly,
            // An invalid path.
            io::ErrorKind::InvalidData => DatabaseError::Other,
            _ => DatabaseError::Unavailable,
        },
        // The next attempt uses another connection.
        sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => DatabaseError::Unavailable,
        // A closed pool is not reopened. The rest are mistakes in a program.
        _ => DatabaseError::Other,
    };
    sort(error.into())
}
