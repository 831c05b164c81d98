//! What MySQL and MariaDB says otherwise than others.

mod dialect;
mod error;

crate::database::value::implement_sql!(sqlx::MySql, dialect::MYSQL, error::sort);
