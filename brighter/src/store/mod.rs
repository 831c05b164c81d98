//! Databases that hold the outbox, one folder and one feature each.

#[cfg(feature = "sqlite")]
pub mod sqlite;
