//! SQLite-specific SQL, and the database file.

#[cfg(feature = "desk")]
mod desk;
mod dialect;
mod error;
mod file;
mod private;

#[cfg(feature = "sqlite-broker")]
pub(crate) use file::PAGE;
pub(crate) use file::{Database, WriteTurn};

crate::database::value::implement_sql!(sqlx::Sqlite, dialect::SQLITE, error);
