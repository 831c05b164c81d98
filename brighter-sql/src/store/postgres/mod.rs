//! The outbox and the inbox in PostgreSQL: [`PostgresOutbox`], [`PostgresInbox`].

mod inbox;
mod listening;
mod outbox;
mod transaction;

pub use inbox::PostgresInbox;
pub use outbox::PostgresOutbox;
