//! Databases that hold the outbox and the inbox, one folder and one feature each.
//!
//! What they have in common stands here once: the statements, as templates that each dialect fills in, and the
//! rows. How a database is opened and spoken to stands in `database`.

#[cfg(all(feature = "config", feature = "_sql"))]
mod configure;
#[cfg(feature = "_sql")]
mod error;
#[cfg(feature = "_sql")]
mod inbox;
#[cfg(feature = "_sql")]
mod outbox;
#[cfg(feature = "_sql")]
mod row;

#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;

#[cfg(feature = "_sql")]
pub use inbox::InboxOptions;
#[cfg(feature = "_sql")]
pub use outbox::{DepositStatement, OutboxOptions};
