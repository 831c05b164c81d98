//! MySQL- and MariaDB-specific SQL.

mod dialect;
mod error;

crate::database::value::implement_sql!(sqlx::MySql, dialect::MYSQL, error::sort);
