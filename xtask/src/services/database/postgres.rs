//! How PostgreSQL is found and started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::private::{Place, USER};
use super::{Kind, Programs, install, probe};
use crate::error::{Doing, Result, failed};
use crate::shell;

pub(super) const KIND: Kind = Kind {
    name: "PostgreSQL",
    url: "BRIGHTER_TEST_POSTGRES_URL",
    schemes: &["postgres", "postgresql"],
    port: 5432,
    database: "postgres",
    packages: &["postgresql"],
    image: "docker.io/library/postgres:17",
    image_environment: |password| vec![format!("POSTGRES_PASSWORD={password}")],
    image_user: "postgres",
    find,
    prepare,
    // At once: a server that is killed would leave its shared memory behind.
    end: "QUIT",
    probe: probe::postgres,
    advice: "install PostgreSQL (Debian, Ubuntu: `apt-get install postgresql`; macOS: `brew install postgresql`; it \
             need not be running, a private one is started)",
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
const SETTINGS: &[&str] = &[
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "shared_buffers=32MB",
    "max_connections=300",
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "autovacuum_max_workers=1",
];

fn find() -> Option<Programs> {
    let mut folders = newest_first(Path::new(VERSIONS));
    folders.extend(FOLDERS.iter().map(|folder| (*folder).to_owned()));
    let folders: Vec<_> = folders.iter().map(String::as_str).collect();
    let initialise = shell::find("initdb", &folders)?;
    // Where it is linked from another folder, the others are beside the true one.
    let server = fs::canonicalize(&initialise).ok()?.with_file_name("postgres");
    server.is_file().then_some(Programs { server, initialise })
}

fn newest_first(versions: &Path) -> Vec<String> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(versions)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((path.file_name()?.to_str()?.parse().ok()?, path.join("bin")))
        })
        .collect();
    found.sort_unstable_by(|one, other| other.cmp(one));
    found
        .into_iter()
        .map(|(_, path)| path.display().to_string())
        .collect()
}

fn prepare(programs: &Programs, place: &Place) -> Result<Command> {
    let folder = place.folder();
    let (data, password) = (folder.join("data"), folder.join("password"));
    fs::write(&password, &place.password).doing("write a password file")?;
    let other = other_user()?;
    if let Some(other) = &other {
        shell::read(Command::new("chown").arg("-R").arg(other.name).arg(folder))?;
    }
    shell::read(
        as_user(other.as_ref(), &programs.initialise)
            .current_dir(folder)
            .arg("--pgdata")
            .arg(&data)
            .args(["--username", USER, "--auth=scram-sha-256", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync", "--pwfile"])
            .arg(&password),
    )?;
    let mut server = as_user(other.as_ref(), &programs.server);
    server.arg("-D").arg(data).arg("-p").arg(place.port.to_string());
    for setting in SETTINGS {
        server.arg("-c").arg(setting);
    }
    Ok(server)
}

/// A user that is not root.
struct Other {
    name: &'static str,
    group: String,
}

fn other_user() -> Result<Option<Other>> {
    if !install::is_root()? {
        return Ok(None);
    }
    for name in OTHERS {
        if let Ok(group) = shell::read(Command::new("id").args(["-g", name])) {
            return Ok(Some(Other { name, group }));
        }
    }
    Err(failed(format_args!(
        "PostgreSQL cannot be run by root, and there is none of the users {} to run it",
        OTHERS.join(", ")
    )))
}

fn as_user(other: Option<&Other>, program: &Path) -> Command {
    let Some(Other { name, group }) = other else {
        return Command::new(program);
    };
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", name, "--regid", group, "--clear-groups", "--"])
        .arg(program);
    command
}
