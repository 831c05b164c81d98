//! A private PostgreSQL.

use std::path::{Path, PathBuf};
use std::process::Command;

use brighter_test_servers::System;
use tokio::sync::OnceCell;

use crate::keeper::Signals;
use crate::node::PASSWORD;
use crate::server::{Kind, Server};

/// A private server.
pub type Postgres = Server<sqlx::Postgres>;

/// Safe against nothing but what is done to it here, and small.
const SETTINGS: &[&str] = &[
    "fsync=off",
    "shared_buffers=16MB",
    "max_connections=300",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
];

impl Kind for sqlx::Postgres {
    const OWN: &'static str = "postgres";
    const SIGNALS: Signals = Signals {
        kill: "QUIT",
        stop: "INT",
    };

    fn prepare(folder: &Path, port: u16) -> Command {
        let programs = programs().expect("PostgreSQL is installed on this machine, for these tests stop it");
        let (data, password) = (folder.join("data"), folder.join("password"));
        std::fs::write(&password, PASSWORD).expect("a password file can be written");
        let other = give_away(folder);
        let output = command(other.as_deref(), &programs.join("initdb"))
            .current_dir(folder)
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
        server(other.as_deref(), &programs, &data, port)
    }

    fn url(address: &str, database: &str) -> String {
        format!("postgres://tester:{PASSWORD}@{address}/{database}?sslmode=disable")
    }
}

/// Gives the folder to the user that the server runs as, if that is another, and returns the group of that user. In a root
/// the user has a number of its own.
fn give_away(folder: &Path) -> Option<String> {
    let other = other_user()?;
    let mut chown = System::of_environment().command(Path::new("chown"));
    let chown = chown.args(["-R", USER]).arg(folder).status();
    assert!(chown.is_ok_and(|status| status.success()));
    Some(other)
}

/// What starts a server with these data.
fn server(group: Option<&str>, programs: &Path, data: &Path, port: u16) -> Command {
    let mut server = command(group, &programs.join("postgres"));
    server.arg("-D").arg(data).arg("-p").arg(port.to_string());
    for setting in SETTINGS {
        server.arg("-c").arg(setting);
    }
    server
}

/// A standby of this server, which follows it by streaming replication and can be read from.
///
/// # Panics
/// It cannot be made.
pub async fn standby_of(primary: &Postgres) -> Postgres {
    let from = primary.url("postgres");
    Postgres::start_with(move |folder, port| {
        let programs = programs().expect("PostgreSQL is installed on this machine, for these tests stop it");
        let (data, other) = (folder.join("data"), give_away(folder));
        let output = command(other.as_deref(), &programs.join("pg_basebackup"))
            .current_dir(folder)
            .arg("--pgdata")
            .arg(&data)
            .arg("--dbname")
            .arg(&from)
            .args([
                "--write-recovery-conf",
                "--wal-method=stream",
                "--checkpoint=fast",
                "--no-sync",
            ])
            .output()
            .expect("pg_basebackup starts");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "pg_basebackup: {told}");
        server(other.as_deref(), &programs, &data, port)
    })
    .await
}

/// The server that all tests use that do it no harm.
pub async fn shared() -> &'static Postgres {
    static SERVER: OnceCell<Postgres> = OnceCell::const_new();
    SERVER.get_or_init(Postgres::start).await
}

/// Where Debian keeps a folder for each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Where others keep the programs.
const FOLDERS: &[&str] = &[
    "/usr/pgsql/bin",
    "/opt/homebrew/opt/postgresql/bin",
    "/usr/local/opt/postgresql/bin",
    "/usr/local/pgsql/bin",
    "/usr/bin",
];

/// The folder of the programs, within the system.
fn programs() -> Option<PathBuf> {
    let system = System::of_environment();
    let versions = std::fs::read_dir(system.outside(VERSIONS)).into_iter().flatten();
    let mut folders: Vec<PathBuf> = versions
        .filter_map(|entry| Some(Path::new(VERSIONS).join(entry.ok()?.file_name()).join("bin")))
        .collect();
    folders.sort_unstable_by(|one, other| other.cmp(one));
    folders.extend(FOLDERS.iter().map(PathBuf::from));
    folders.into_iter().find(|folder| {
        let has = |program: &str| system.outside(&folder.join(program).to_string_lossy()).is_file();
        has("initdb") && has("postgres")
    })
}

/// The server refuses to be run by root; this one does it then.
const USER: &str = "postgres";

/// The group of the other user, if we are root.
fn other_user() -> Option<String> {
    let system = System::of_environment();
    let said = |arguments: &[&str]| {
        let output = system.command(Path::new("id")).args(arguments).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    (said(&["-u"])? == "0").then(|| said(&["-g", USER])).flatten()
}

fn command(group: Option<&str>, program: &Path) -> Command {
    let system = System::of_environment();
    let Some(group) = group else {
        return system.command(program);
    };
    let mut command = system.command(Path::new("setpriv"));
    command
        .args(["--reuid", USER, "--regid", group, "--clear-groups", "--"])
        .arg(program);
    command
}
