//! The outbox and the inbox in SQLite: [`SqliteOutbox`], [`SqliteInbox`].

#[cfg(feature = "desk")]
mod desk;
mod inbox;
mod outbox;
mod transaction;

#[cfg(feature = "desk")]
pub use desk::SqliteDesk;
pub use inbox::SqliteInbox;
pub use outbox::SqliteOutbox;
