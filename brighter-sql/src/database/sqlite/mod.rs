//! SQLite-specific SQL, and the database file.

#[cfg(feature = "desk")]
mod desk;
mod dialect;
mod error;
mod file;
mod private;

pub(crate) use file::Database;
#[cfg(feature = "sqlite-broker")]
pub(crate) use file::PAGE;

crate::database::value::implement_sql!(sqlx::Sqlite, dialect::SQLITE, error::sort);
