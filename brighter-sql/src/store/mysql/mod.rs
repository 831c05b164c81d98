//! The outbox and the inbox in MySQL and MariaDB: [`MySqlOutbox`], [`MySqlInbox`].

#[cfg(feature = "desk")]
mod desk;
mod inbox;
mod outbox;
mod transaction;

#[cfg(feature = "desk")]
pub use desk::MySqlDesk;
pub use inbox::MySqlInbox;
pub use outbox::MySqlOutbox;
