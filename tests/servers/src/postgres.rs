//! How PostgreSQL is found and started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::ask;
use crate::programs::{is_root, read};
use crate::server::{Database, Kind, Place, USER};
use crate::system::System;

pub(crate) const KIND: Kind = Kind {
    name: "PostgreSQL",
    url: "BRIGHTER_TEST_POSTGRES_URL",
    schemes: &["postgres", "postgresql"],
    port: 5432,
    path: "postgres",
    ask: ask::postgres,
    is_installed: || programs(&System::of_environment()).is_some(),
    packages: &["postgresql"],
    // At once: a server that is killed would leave its shared memory behind.
    start: || Database::start(&KIND, "QUIT", prepare),
    image: "docker.io/library/postgres:17",
    image_password: "POSTGRES_PASSWORD",
    image_user: "postgres",
    advice: "install PostgreSQL (Debian, Ubuntu: `apt-get install postgresql`; macOS: `brew install postgresql`)",
};

/// Where Debian keeps a folder for each version that is installed.
const VERSIONS: &str = "/usr/lib/postgresql";
const FOLDERS: &[&str] = &[
    "/usr/pgsql/bin",
    "/opt/homebrew/opt/postgresql/bin",
    "/usr/local/opt/postgresql/bin",
    "/usr/local/pgsql/bin",
];
/// The server refuses to be run by root; one of these does it then.
const OTHERS: &[&str] = &["postgres", "nobody"];

/// Safe against nothing but the end of this run, and small: the machine is shared with the tests.
const SETTINGS: &str = "fsync=off synchronous_commit=off full_page_writes=off shared_buffers=32MB max_connections=300 \
     listen_addresses=127.0.0.1 unix_socket_directories= autovacuum_max_workers=1";

/// Returns `initdb` and `postgres`, the newest of the system.
fn programs(system: &System) -> Option<(PathBuf, PathBuf)> {
    let versions = fs::read_dir(system.outside(VERSIONS))
        .into_iter()
        .flatten()
        .flatten();
    let newest = versions
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .max();
    let newest = newest.map(|version| format!("{VERSIONS}/{version}/bin"));
    let folders: Vec<_> = newest
        .iter()
        .map(String::as_str)
        .chain(FOLDERS.iter().copied())
        .collect();
    let initialise = system.find("initdb", &folders)?;
    if system.root().is_some() {
        // A link of a root does not lead anywhere out here; Debian has none.
        let server = initialise.with_file_name("postgres");
        return Some((initialise, server));
    }
    // Where it is linked from another folder, the others are beside the true one.
    let server = fs::canonicalize(&initialise).ok()?.with_file_name("postgres");
    server.is_file().then_some((initialise, server))
}

fn prepare(place: &Place<'_>) -> Result<Command> {
    let system = place.system;
    let (initialise, server) = programs(system).context("PostgreSQL is not installed")?;
    let (data, password) = (place.folder.join("data"), place.folder.join("password"));
    fs::write(&password, place.password).context("could not write a password file")?;
    let other = other_user(system)?;
    if let Some((name, _)) = &other {
        read(
            system
                .command(Path::new("chown"))
                .arg("-R")
                .arg(name)
                .arg(place.folder),
        )?;
    }
    read(
        as_user(system, other.as_ref(), &initialise)
            .current_dir(place.folder)
            .arg("--pgdata")
            .arg(&data)
            .args(["--username", USER, "--auth=scram-sha-256", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync", "--pwfile"])
            .arg(&password),
    )?;
    let mut command = as_user(system, other.as_ref(), &server);
    command.arg("-D").arg(data).arg("-p").arg(place.port.to_string());
    for setting in SETTINGS.split(' ') {
        command.args(["-c", setting]);
    }
    Ok(command)
}

/// Returns the name and the group of a user that is not root, if this process is root.
fn other_user(system: &System) -> Result<Option<(&'static str, String)>> {
    if !is_root()? {
        return Ok(None);
    }
    for name in OTHERS {
        if let Ok(group) = read(system.command(Path::new("id")).args(["-g", name])) {
            return Ok(Some((name, group)));
        }
    }
    bail!(
        "PostgreSQL cannot be run by root, and there is none of the users {} to run it",
        OTHERS.join(", ")
    )
}

fn as_user(system: &System, other: Option<&(&str, String)>, program: &Path) -> Command {
    let Some((name, group)) = other else {
        return system.command(program);
    };
    let mut command = system.command(Path::new("setpriv"));
    command
        .args(["--reuid", name, "--regid", group, "--clear-groups", "--"])
        .arg(program);
    command
}
