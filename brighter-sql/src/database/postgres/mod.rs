//! PostgreSQL-specific SQL.

#[cfg(feature = "desk")]
mod desk;
mod dialect;
mod error;

use sqlx::Postgres;
use sqlx::postgres::PgConnectOptions;

use super::error::DatabaseError;
use super::server::Server;
use super::url::{self, ByUrl};

crate::database::value::implement_sql!(sqlx::Postgres, dialect::POSTGRES, error);

impl ByUrl for Postgres {
    const EXAMPLE: &'static str = "postgres://user:password@host:5432/database";

    fn knows(parameter: &str) -> bool {
        const KNOWN: [&str; 18] = [
            "sslmode",
            "ssl-mode",
            "sslrootcert",
            "ssl-root-cert",
            "ssl-ca",
            "sslcert",
            "ssl-cert",
            "sslkey",
            "ssl-key",
            "statement-cache-capacity",
            "host",
            "hostaddr",
            "port",
            "dbname",
            "user",
            "password",
            "application_name",
            "options",
        ];
        KNOWN.contains(&parameter) || parameter.starts_with("options[")
    }
}

impl Server<Postgres> {
    /// Connects to the server of this URL, with a pool of brighter's own.
    pub(crate) async fn at(url: &str, has_session: bool) -> Result<Self, DatabaseError> {
        let options: PgConnectOptions = url::options::<Postgres, _>(url)?;
        let options = if has_session {
            options
        } else {
            // PgBouncer refuses unknown startup parameters.
            options.extra_float_digits(None)
        };
        let connected = Self::connect(options, has_session).await;
        connected.map_err(|error| url::redacted(error, url))
    }
}
