//! The outbox in SQLite: [`SqliteOutbox`].

mod database;
mod error;
mod outbox;
mod row;
mod schema;
mod sql;
mod transaction;

pub use outbox::SqliteOutbox;
