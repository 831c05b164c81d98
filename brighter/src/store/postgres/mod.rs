//! The outbox and the inbox in PostgreSQL: [`PostgresOutbox`], [`PostgresInbox`].

mod dialect;
mod error;
mod inbox;
mod outbox;

pub use inbox::PostgresInbox;
pub use outbox::PostgresOutbox;

crate::store::value::implement_sql!(sqlx::Postgres, dialect::POSTGRES, error::sort);
