//! Outbox and inbox in the application's own database, and a broker in a SQLite file.
//!
//! An application uses them through the crate `brighter` with the features `sqlite`, `postgres`, `mysql` and
//! `sqlite-broker`.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "sqlite-broker")]
pub mod broker;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
mod database;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
mod opening;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
pub mod store;
