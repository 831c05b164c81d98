//! The outbox and the inbox in SQLite: [`SqliteOutbox`], [`SqliteInbox`].

mod inbox;
mod outbox;
mod transaction;

pub use inbox::SqliteInbox;
pub use outbox::SqliteOutbox;
