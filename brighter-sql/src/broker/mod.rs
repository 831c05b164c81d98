//! Brokers that keep their messages in a database.

pub mod sqlite;
