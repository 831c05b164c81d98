//! The outbox and the inbox in SQLite: [`SqliteOutbox`], [`SqliteInbox`].

mod inbox;
mod outbox;

pub use inbox::SqliteInbox;
pub use outbox::SqliteOutbox;
