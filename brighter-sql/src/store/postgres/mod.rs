//! The outbox and the inbox in PostgreSQL: [`PostgresOutbox`], [`PostgresInbox`].

#[cfg(feature = "desk")]
mod desk;
mod inbox;
mod listening;
mod outbox;
mod transaction;

#[cfg(feature = "desk")]
pub use desk::PostgresDesk;
pub use inbox::PostgresInbox;
pub use outbox::PostgresOutbox;
