//! PostgreSQL-specific SQL.

mod dialect;
mod error;

use sqlx::Postgres;
use sqlx::postgres::PgConnectOptions;

use super::error::DatabaseError;
use super::server::Server;
use super::value::Sql;

crate::database::value::implement_sql!(sqlx::Postgres, dialect::POSTGRES, error::sort);

impl Server<Postgres> {
    /// Connects to the server of this URL, with a pool of brighter's own.
    pub(crate) async fn at(url: &str, has_session: bool) -> Result<Self, DatabaseError> {
        let options: PgConnectOptions = url.parse().map_err(Postgres::sort)?;
        let options = if has_session {
            options
        } else {
            // PgBouncer refuses unknown startup parameters.
            options.extra_float_digits(None)
        };
        Self::connect(options, has_session).await
    }
}
