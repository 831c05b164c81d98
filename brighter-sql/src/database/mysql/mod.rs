//! MySQL- and MariaDB-specific SQL.

#[cfg(feature = "desk")]
mod desk;
mod dialect;
mod error;

use sqlx::MySql;
use sqlx::mysql::MySqlConnectOptions;

use super::error::DatabaseError;
use super::server::Server;
use super::url::{self, ByUrl};

crate::database::value::implement_sql!(sqlx::MySql, dialect::MYSQL, error);

impl ByUrl for MySql {
    const EXAMPLE: &'static str = "mysql://user:password@host:3306/database";

    fn knows(parameter: &str) -> bool {
        const KNOWN: [&str; 14] = [
            "sslmode",
            "ssl-mode",
            "sslca",
            "ssl-ca",
            "charset",
            "collation",
            "sslcert",
            "ssl-cert",
            "sslkey",
            "ssl-key",
            "statement-cache-capacity",
            "socket",
            "timezone",
            "time-zone",
        ];
        KNOWN.contains(&parameter)
    }
}

impl Server<MySql> {
    /// The server of this URL, by a pool of our own.
    pub(crate) async fn at(url: &str) -> Result<Self, DatabaseError> {
        let options: MySqlConnectOptions = url::options::<MySql, _>(url)?;
        let connected = Self::connect(options, true).await;
        connected.map_err(|error| url::redacted(error, url))
    }
}
