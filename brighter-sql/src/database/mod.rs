//! Access to a database for all parts of brighter: connections and transactions, statements as templates that each
//! dialect fills in, tables with their versions, and the meaning of errors.
//!
//! The outbox and the inbox in `store` use it, and the broker of a SQLite file in `broker`.

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
