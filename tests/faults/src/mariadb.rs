//! A private MariaDB, to be stopped, killed and started again. One serves all tests that leave it as it is; one that
//! does it harm starts its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use brighter::MessageId;
use sqlx::mysql::MySqlPoolOptions;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, MySqlPool};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::keeper::{Keeper, Signals, free_port};
use crate::node::PASSWORD;
use crate::wait::{DEADLINE, in_time};

/// Small, and safe against a crash of the server, which is what is done to it.
const SETTINGS: &[&str] = &[
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=32M",
    "--max-connections=300",
];

const SIGNALS: Signals = Signals {
    kill: "KILL",
    stop: "TERM",
};

/// A private server.
pub struct MariaDb {
    keeper: Keeper,
    port: u16,
    // Dropped after the keeper: first the server ends, then its folder goes.
    _folder: TempDir,
}

impl MariaDb {
    /// Starts a server, and waits until it is up.
    ///
    /// # Panics
    /// There is no MariaDB on this machine, or it does not start.
    pub async fn start() -> Self {
        let server = spawn_blocking(Self::launch)
            .await
            .expect("starting does not panic");
        server.until_up().await;
        server
    }

    fn launch() -> Self {
        let installed = "MariaDB is installed on this machine, for these tests stop it";
        let (server, initialise) = (program("mariadbd"), program("mariadb-install-db"));
        let folder = tempfile::Builder::new()
            .prefix("brighter-faults-mariadb-")
            .tempdir()
            .expect("a folder can be made");
        let data = format!("--datadir={}", folder.path().join("data").display());
        // It refuses root, unless root is named.
        let user = is_root().then_some("--user=root");
        let output = Command::new(initialise.expect(installed))
            .current_dir(folder.path())
            .args(["--no-defaults", "--skip-name-resolve", "--skip-test-db"])
            .arg(&data)
            .args(user)
            .output()
            .expect("mariadb-install-db starts");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "mariadb-install-db: {told}");
        // Run whenever the server starts.
        let users = folder.path().join("users.sql");
        let sql = format!(
            "CREATE USER IF NOT EXISTS 'tester'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n\
             GRANT ALL PRIVILEGES ON *.* TO 'tester'@'127.0.0.1' WITH GRANT OPTION;\n"
        );
        std::fs::write(&users, sql).expect("its users can be written");
        let port = free_port();
        let mut command = Command::new(server.expect(installed));
        command
            .arg("--no-defaults")
            .arg(data)
            .arg(format!("--port={port}"))
            .arg(format!("--socket={}", folder.path().join("socket").display()))
            .arg(format!("--pid-file={}", folder.path().join("pid").display()))
            .arg(format!("--init-file={}", users.display()))
            .args(user)
            .args(SETTINGS);
        Self {
            keeper: Keeper::start(&command, folder.path(), &SIGNALS),
            port,
            _folder: folder,
        }
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
        let url = self.url("mysql");
        in_time("MariaDB to be up", async {
            while MySqlConnection::connect(&url).await.is_err() {
                sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }

    /// The URL of a database of it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!(
            "mysql://tester:{PASSWORD}@127.0.0.1:{}/{database}?ssl-mode=disabled",
            self.port
        )
    }

    /// A new database, by its name. It goes with the server.
    pub async fn database(&self) -> String {
        let name = format!("fault_{}", MessageId::new().to_string().replace('-', ""));
        let mut server = MySqlConnection::connect(&self.url("mysql"))
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
pub async fn pool(url: &str) -> MySqlPool {
    pool_that_waits(url, DEADLINE).await
}

/// A pool of few connections to this URL, which gives up when it has none for so long.
///
/// # Panics
/// The server does not answer.
pub async fn pool_that_waits(url: &str, wait: Duration) -> MySqlPool {
    MySqlPoolOptions::new()
        .max_connections(4)
        .acquire_timeout(wait)
        .connect(url)
        .await
        .expect("the server answers")
}

/// The server that all tests use that do it no harm.
pub async fn shared() -> &'static MariaDb {
    static SERVER: OnceCell<MariaDb> = OnceCell::const_new();
    SERVER.get_or_init(MariaDb::start).await
}

/// Where it may be beside `PATH`.
const FOLDERS: &[&str] = &[
    "/usr/sbin",
    "/opt/homebrew/opt/mariadb/bin",
    "/usr/local/opt/mariadb/bin",
    "/usr/local/mysql/bin",
];

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file: &PathBuf| Path::is_file(file))
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
