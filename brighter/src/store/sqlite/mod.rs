//! The outbox and the inbox in SQLite: [`SqliteOutbox`], [`SqliteInbox`].

mod database;
mod dialect;
mod error;
mod inbox;
mod outbox;

pub use inbox::SqliteInbox;
pub use outbox::SqliteOutbox;

crate::store::value::implement_sql!(sqlx::Sqlite, dialect::SQLITE, error::sort);
