//! How brighter speaks to a database, whatever it keeps there: connections and transactions, statements as templates
//! that each dialect fills in, tables with their versions, and what an error means.
//!
//! All that keeps something in one uses this: the outbox and the inbox in `store`, the broker in a file of SQLite in
//! `broker`.

pub(crate) mod backend;
pub(crate) mod dialect;
pub(crate) mod error;
pub(crate) mod names;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod retirement;
pub(crate) mod schema;
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) mod server;
pub(crate) mod statement;
pub(crate) mod table_error;
pub(crate) mod table_ref;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod url;
pub(crate) mod value;

#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;
