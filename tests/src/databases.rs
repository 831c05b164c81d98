//! A corner of a real database server for one test: a schema of PostgreSQL or a database of MySQL, dropped at the
//! end.

use std::path::Path;
use std::str::FromStr;

use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, MySqlPool, PgPool};

/// Connections of one pool: a few are enough to meet, and a server has not many for all the tests.
const CONNECTIONS: u32 = 4;

/// The URL of the PostgreSQL server.
///
/// # Panics
/// There is none.
#[must_use]
pub fn postgres_url() -> String {
    crate::servers::variable("BRIGHTER_TEST_POSTGRES_URL")
}

/// The URL of the MySQL or MariaDB server.
///
/// # Panics
/// There is none.
#[must_use]
pub fn mysql_url() -> String {
    crate::servers::variable("BRIGHTER_TEST_MYSQL_URL")
}

fn new_name() -> String {
    format!(
        "brighter_test_{}",
        brighter::MessageId::new().to_string().replace('-', "")
    )
}

/// A schema of its own in PostgreSQL; dropped when this is, also after a panic.
pub struct Postgres {
    /// The schema.
    pub name: String,
    options: PgConnectOptions,
}

impl Postgres {
    /// A new, empty schema.
    #[allow(clippy::new_without_default)]
    pub async fn new() -> Self {
        let options = PgConnectOptions::from_str(&postgres_url()).unwrap();
        let name = new_name();
        let mut server = options.connect().await.unwrap();
        let create = AssertSqlSafe(format!("CREATE SCHEMA {name}"));
        sqlx::raw_sql(create).execute(&mut server).await.unwrap();
        let options = options.options([("search_path", &name)]);
        Self { name, options }
    }

    /// Another pool of connections to it.
    pub async fn pool(&self) -> PgPool {
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS);
        pool.connect_with(self.options.clone()).await.unwrap()
    }

    /// `host:port` of the server.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", self.options.get_host(), self.options.get_port())
    }

    /// A pool of connections by another way to the server, `host:port`, that soon gives up.
    pub async fn pool_by(&self, address: &str) -> PgPool {
        let (host, port) = address.rsplit_once(':').unwrap();
        let options = self.options.clone().host(host).port(port.parse().unwrap());
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(std::time::Duration::from_secs(1));
        pool.connect_with(options).await.unwrap()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let (options, drop) = (
            self.options.clone(),
            format!("SET lock_timeout = '10s'; DROP SCHEMA {} CASCADE", self.name),
        );
        at_the_end(async move {
            let mut server = options.connect().await?;
            sqlx::raw_sql(AssertSqlSafe(drop))
                .execute(&mut server)
                .await
                .map(std::mem::drop)
        });
    }
}

/// A database of its own on a MySQL or MariaDB server; dropped when this is, also after a panic.
pub struct MySql {
    /// The database.
    pub name: String,
    options: MySqlConnectOptions,
}

impl MySql {
    /// A new, empty database.
    #[allow(clippy::new_without_default)]
    pub async fn new() -> Self {
        let options = MySqlConnectOptions::from_str(&mysql_url()).unwrap();
        let name = new_name();
        let mut server = options.connect().await.unwrap();
        let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(create).execute(&mut server).await.unwrap();
        let options = options.database(&name);
        Self { name, options }
    }

    /// Another pool of connections to it.
    pub async fn pool(&self) -> MySqlPool {
        let pool = MySqlPoolOptions::new().max_connections(CONNECTIONS);
        pool.connect_with(self.options.clone()).await.unwrap()
    }
}

impl Drop for MySql {
    fn drop(&mut self) {
        let (options, drop) = (
            self.options.clone(),
            format!("SET lock_wait_timeout = 10; DROP DATABASE {}", self.name),
        );
        at_the_end(async move {
            let mut server = options.connect().await?;
            sqlx::raw_sql(AssertSqlSafe(drop))
                .execute(&mut server)
                .await
                .map(std::mem::drop)
        });
    }
}

/// Runs a future where nothing can be awaited. It must come to an end by itself: what a test that failed still holds
/// is given back by its own runtime only, which waits for this.
fn at_the_end(work: impl Future<Output = Result<(), sqlx::Error>> + Send + 'static) {
    let thread = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(work)
    });
    if let Ok(Err(error)) = thread.join() {
        eprintln!("a database of a test may be left: {error}");
    }
}

/// Makes a file of SQLite, which nobody has open, one that may only be read, by root too: its header says that it takes
/// a newer SQLite to write it.
pub fn make_read_only(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[18] = 3;
    std::fs::write(file, bytes).unwrap();
}
