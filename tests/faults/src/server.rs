//! A private database server, to be stopped, killed and started again. One of a kind serves all tests that leave it as
//! it is; one that does it harm starts its own.

use std::marker::PhantomData;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use brighter::MessageId;
use brighter_test_servers::patience;
use sqlx::pool::PoolOptions;
use sqlx::{AssertSqlSafe, Connection, Database, Executor, Pool};
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::keeper::{Keeper, Signals, free_port};
use crate::wait::{DEADLINE, in_time};

/// What one kind of server has that others have not.
pub trait Kind: Database {
    /// A database that is always there.
    const OWN: &'static str;
    /// The signals by which it is told to end.
    const SIGNALS: Signals;

    /// Makes its data in this folder, and says by what it is started. It is to listen at this port of this machine.
    ///
    /// # Panics
    /// It is not installed on this machine, or its data cannot be made.
    fn prepare(folder: &Path, port: u16) -> Command;

    /// The URL of a database at this address, `host:port`.
    fn url(address: &str, database: &str) -> String;
}

/// A private server.
pub struct Server<K> {
    keeper: Keeper,
    port: u16,
    // Dropped after the keeper: first the server ends, then its folder goes.
    _folder: TempDir,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> Server<K>
where
    for<'c> &'c mut K::Connection: Executor<'c, Database = K>,
{
    /// Starts a server, and waits until it is up.
    ///
    /// # Panics
    /// There is none on this machine, or it does not start.
    pub async fn start() -> Self {
        let server = spawn_blocking(Self::launch)
            .await
            .expect("starting does not panic");
        server.until_up().await;
        server
    }

    fn launch() -> Self {
        Self::launch_with(K::prepare)
    }

    /// Starts a server whose data are made otherwise, and waits until it is up.
    pub(crate) async fn start_with(prepare: impl FnOnce(&Path, u16) -> Command + Send + 'static) -> Self {
        let server = spawn_blocking(|| Self::launch_with(prepare))
            .await
            .expect("starting does not panic");
        server.until_up().await;
        server
    }

    fn launch_with(prepare: impl FnOnce(&Path, u16) -> Command) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("brighter-faults-database-")
            .tempdir()
            .expect("a folder can be made");
        let port = free_port();
        let server = prepare(folder.path(), port);
        Self {
            keeper: Keeper::start(&server, folder.path(), &K::SIGNALS),
            port,
            _folder: folder,
            kind: PhantomData,
        }
    }

    /// `host:port` of it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends it as a crash does: every connection breaks, and it recovers when it is started again.
    pub async fn kill(&self) {
        self.keeper.tell("kill").await;
    }

    /// Ends it as an operator does: what is under way is rolled back.
    pub async fn stop(&self) {
        self.keeper.tell("stop").await;
    }

    /// Starts it again, and waits until it is up.
    pub async fn start_again(&self) {
        self.keeper.tell("start").await;
        self.until_up().await;
    }

    async fn until_up(&self) {
        let url = self.url(K::OWN);
        in_time(&format!("{} to be up", K::NAME), async {
            while K::Connection::connect(&url).await.is_err() {
                sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }

    /// The URL of a database of it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_at(&self.address(), database)
    }

    /// The same by another way, `host:port`.
    #[must_use]
    pub fn url_at(&self, address: &str, database: &str) -> String {
        K::url(address, database)
    }

    /// A new database, by its name. It goes with the server.
    ///
    /// # Panics
    /// It cannot be made.
    pub async fn database(&self) -> String {
        let name = format!("fault_{}", MessageId::new().to_string().replace('-', ""));
        let mut server = K::Connection::connect(&self.url(K::OWN))
            .await
            .expect("the server answers");
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut server)
            .await
            .expect("a database can be made");
        name
    }
}

/// A pool of few connections to this URL.
pub async fn pool<K: Kind>(url: &str) -> Pool<K> {
    pool_that_waits(url, DEADLINE).await
}

/// A pool of few connections to this URL, which gives up when it has none for so long: longer on a slow machine.
///
/// # Panics
/// The server does not answer.
pub async fn pool_that_waits<K: Kind>(url: &str, wait: Duration) -> Pool<K> {
    PoolOptions::new()
        .max_connections(4)
        .acquire_timeout(patience(wait))
        .connect(url)
        .await
        .expect("the server answers")
}
