//! The outbox and the inbox in MySQL and MariaDB: [`MySqlOutbox`], [`MySqlInbox`].

mod inbox;
mod outbox;
mod transaction;

pub use inbox::MySqlInbox;
pub use outbox::MySqlOutbox;
