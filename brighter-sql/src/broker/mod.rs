//! Brokers that store their messages in a database.

pub mod sqlite;
