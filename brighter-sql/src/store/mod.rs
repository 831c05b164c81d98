//! The outbox and the inbox in databases, one folder and one feature for each database.
//!
//! The shared parts are here: the statements, as templates that each dialect fills in, and the rows. Opening a database
//! and executing statements is in `database`.

#[cfg(feature = "config")]
mod configure;
#[cfg(feature = "desk")]
pub(crate) mod desk;
mod error;
mod inbox;
mod outbox;
mod row;
mod transaction;

#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;

#[cfg(feature = "desk")]
pub use desk::DeskOptions;
pub use inbox::InboxOptions;
pub use outbox::{DepositStatement, OutboxOptions};

pub use crate::database::table_error::TableError;
pub use crate::opening::Opening;
