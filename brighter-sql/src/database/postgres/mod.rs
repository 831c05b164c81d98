//! What PostgreSQL says otherwise than others.

mod dialect;
mod error;

crate::database::value::implement_sql!(sqlx::Postgres, dialect::POSTGRES, error::sort);
