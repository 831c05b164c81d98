//! A private PostgreSQL, to be stopped, killed and started again. One serves all tests that leave it as it is; one
//! that does it harm starts its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use brighter::MessageId;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::keeper::{Keeper, Signals, free_port};
use crate::node::PASSWORD;
use crate::wait::{DEADLINE, in_time};

/// Safe against nothing but what is done to it here, and small.
const SETTINGS: &[&str] = &[
    "fsync=off",
    "shared_buffers=16MB",
    "max_connections=300",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
];

const SIGNALS: Signals = Signals {
    kill: "QUIT",
    stop: "INT",
};

/// A private server.
pub struct Postgres {
    keeper: Keeper,
    port: u16,
    // Dropped after the keeper: first the server ends, then its folder goes.
    _folder: TempDir,
}

impl Postgres {
    /// Starts a server, and waits until it is up.
    ///
    /// # Panics
    /// There is no PostgreSQL on this machine, or it does not start.
    pub async fn start() -> Self {
        let server = spawn_blocking(Self::launch)
            .await
            .expect("starting does not panic");
        server.until_up().await;
        server
    }

    fn launch() -> Self {
        let programs = programs().expect("PostgreSQL is installed on this machine, for these tests stop it");
        let folder = tempfile::Builder::new()
            .prefix("brighter-faults-postgres-")
            .tempdir()
            .expect("a folder can be made");
        let (data, password) = (folder.path().join("data"), folder.path().join("password"));
        std::fs::write(&password, PASSWORD).expect("a password file can be written");
        let other = other_user();
        if other.is_some() {
            let chown = Command::new("chown")
                .args(["-R", USER])
                .arg(folder.path())
                .status();
            assert!(chown.is_ok_and(|status| status.success()));
        }
        let output = command(other.as_deref(), &programs.join("initdb"))
            .current_dir(folder.path())
            .arg("--pgdata")
            .arg(&data)
            .args([
                "--username=tester",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .args(["--no-sync", "--pwfile"])
            .arg(&password)
            .output()
            .expect("initdb starts");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "initdb: {told}");
        let port = free_port();
        let mut server = command(other.as_deref(), &programs.join("postgres"));
        server.arg("-D").arg(&data).arg("-p").arg(port.to_string());
        for setting in SETTINGS {
            server.arg("-c").arg(setting);
        }
        Self {
            keeper: Keeper::start(&server, folder.path(), &SIGNALS),
            port,
            _folder: folder,
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
        let url = self.url("postgres");
        in_time("PostgreSQL to be up", async {
            while PgConnection::connect(&url).await.is_err() {
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
        format!("postgres://tester:{PASSWORD}@{address}/{database}?sslmode=disable")
    }

    /// A new database, by its name. It goes with the server.
    pub async fn database(&self) -> String {
        let name = format!("fault_{}", MessageId::new().to_string().replace('-', ""));
        let mut server = PgConnection::connect(&self.url("postgres"))
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
pub async fn pool(url: &str) -> PgPool {
    pool_that_waits(url, DEADLINE).await
}

/// A pool of few connections to this URL, which gives up when it has none for so long.
///
/// # Panics
/// The server does not answer.
pub async fn pool_that_waits(url: &str, wait: Duration) -> PgPool {
    PgPoolOptions::new()
        .max_connections(4)
        .acquire_timeout(wait)
        .connect(url)
        .await
        .expect("the server answers")
}

/// The server that all tests use that do it no harm.
pub async fn shared() -> &'static Postgres {
    static SERVER: OnceCell<Postgres> = OnceCell::const_new();
    SERVER.get_or_init(Postgres::start).await
}

/// Where Debian keeps a folder for each version, and others keep the programs.
const FOLDERS: &[&str] = &[
    "/usr/pgsql/bin",
    "/opt/homebrew/opt/postgresql/bin",
    "/usr/local/opt/postgresql/bin",
    "/usr/local/pgsql/bin",
    "/usr/bin",
];

fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut folders: Vec<PathBuf> = versions
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    folders.sort_unstable_by(|one, other| other.cmp(one));
    folders.extend(FOLDERS.iter().map(PathBuf::from));
    folders
        .into_iter()
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

/// The server refuses to be run by root; this one does it then.
const USER: &str = "postgres";

/// The group of the other user, if we are root.
fn other_user() -> Option<String> {
    let said = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    (said(&["-u"])? == "0").then(|| said(&["-g", USER])).flatten()
}

fn command(group: Option<&str>, program: &Path) -> Command {
    let Some(group) = group else {
        return Command::new(program);
    };
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", USER, "--regid", group, "--clear-groups", "--"])
        .arg(program);
    command
}
