//! What PostgreSQL says otherwise than others.

mod dialect;
mod error;

use sqlx::Postgres;
use sqlx::postgres::PgConnectOptions;

use super::error::DatabaseError;
use super::server::Server;
use super::value::Sql;

crate::database::value::implement_sql!(sqlx::Postgres, dialect::POSTGRES, error::sort);

impl Server<Postgres> {
    /// The server of this URL, by a pool of our own.
    pub(crate) async fn at(url: &str, has_session: bool) -> Result<Self, DatabaseError> {
        let options: PgConnectOptions = url.parse().map_err(Postgres::sort)?;
        let options = if has_session {
            options
        } else {
            // PgBouncer refuses what it does not know.
            options.extra_float_digits(None)
        };
        Self::connect(options, has_session).await
    }
}
