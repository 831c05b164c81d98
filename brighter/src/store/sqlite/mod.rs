//! SQLite.
/// SQLite.
pub struct SqliteOutbox;
