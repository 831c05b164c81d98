//! Databases that hold the outbox and the inbox, one folder and one feature each.
//!
//! What they have in common stands here once: the statements, as templates that each dialect fills in, and the
//! rows. How a database is opened and spoken to stands in `database`.

#[cfg(feature = "config")]
mod configure;
mod error;
mod inbox;
mod outbox;
mod row;

#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use inbox::InboxOptions;
pub use outbox::{DepositStatement, OutboxOptions};

pub use crate::database::table_error::TableError;
pub use crate::opening::Opening;
