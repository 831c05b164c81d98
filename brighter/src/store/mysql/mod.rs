//! The outbox and the inbox in MySQL and MariaDB: [`MySqlOutbox`], [`MySqlInbox`].

mod dialect;
mod error;
mod inbox;
mod outbox;

pub use inbox::MySqlInbox;
pub use outbox::MySqlOutbox;

crate::store::value::implement_sql!(sqlx::MySql, dialect::MYSQL, error::sort);
