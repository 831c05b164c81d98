//! Databases that hold the outbox and the inbox, one folder and one feature each.
//!
//! What they have in common stands here once: the statements, as templates that each dialect fills in; the
//! rows; the tables and their versions.

#[cfg(feature = "_sql")]
mod backend;
#[cfg(feature = "_sql")]
mod dialect;
#[cfg(feature = "_sql")]
mod error;
#[cfg(feature = "_sql")]
mod inbox;
#[cfg(feature = "_sql")]
mod names;
#[cfg(feature = "_sql")]
mod outbox;
#[cfg(feature = "_sql")]
mod row;
#[cfg(feature = "_sql")]
mod schema;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod server;
#[cfg(feature = "_sql")]
mod value;

#[cfg(feature = "mysql")]
pub mod mysql;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;

#[cfg(feature = "_sql")]
pub use inbox::InboxOptions;
#[cfg(feature = "_sql")]
pub use outbox::OutboxOptions;
