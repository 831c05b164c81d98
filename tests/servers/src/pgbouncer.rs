//! [`PgBouncer`]: a pooler between a test and PostgreSQL, which gives a server's connection to a client that has a transaction.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::ask;
use crate::install::install;
use crate::keeper::{Keeper, folder};
use crate::programs::{free_port, is_root, read};
use crate::root::{Suite, add, existing};
use crate::system::System;

/// A private PgBouncer with `pool_mode = transaction`. It is installed first where this may be done, and ends when it is
/// dropped.
pub struct PgBouncer {
    _keeper: Keeper,
    url: String,
    version: String,
}

impl PgBouncer {
    /// Starts one with so many connections to the server of this URL, `postgres://user:password@host:port/database`: that of
    /// the machine, or of the root that the environment names.
    ///
    /// # Errors
    /// It is not installed and cannot be, or does not start.
    pub fn start(postgres: &str, connections: usize) -> Result<Self> {
        Self::start_of(&System::of_environment(), postgres, connections)
    }

    /// Starts the newer one of Debian trixie, which keeps track of prepared statements, if there is a root of it: see
    /// [`root`](crate::root()). It is installed there first.
    ///
    /// # Errors
    /// There is a root, and it cannot be installed there, or does not start.
    pub fn start_newer(postgres: &str, connections: usize) -> Result<Option<Self>> {
        let Some(system) = existing(Suite::Trixie)? else {
            eprintln!(
                "servers: PgBouncer 1.21 or newer is not run: there is no root of trixie; `cargo xtask brokers 4.0` makes one"
            );
            return Ok(None);
        };
        Self::start_of(&system, postgres, connections).map(Some)
    }

    fn start_of(system: &System, postgres: &str, connections: usize) -> Result<Self> {
        let program = &installed(system)?;
        let version = read(system.command(program).arg("--version"))?;
        let version = version.lines().next().unwrap_or_default().to_owned();
        let (folder, [port]) = (folder("pgbouncer")?, free_port()?);
        let (scheme, rest) = postgres.split_once("://").context("the URL has no scheme")?;
        let (login, rest) = rest.rsplit_once('@').context("the URL has no user")?;
        let (user, password) = login.split_once(':').context("the URL has no password")?;
        let (address, database) = rest.split_once('/').context("the URL has no database")?;
        let (host, server_port) = address.rsplit_once(':').context("the URL has no port")?;
        if login.contains('%') {
            bail!("the user and the password of the URL must need no escape");
        }
        let database = database.split('?').next().unwrap_or(database);
        let at = folder.path();
        let settings = format!(
            "[databases]\n\
             {database} = host={host} port={server_port} dbname={database} user={user} password={password}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = any\n\
             pool_mode = transaction\n\
             default_pool_size = {connections}\n\
             max_client_conn = 200\n"
        );
        // The older ones refuse what they do not know.
        let settings = match keeps_statements(&version) {
            true => settings + "max_prepared_statements = 200\n",
            false => settings,
        };
        let file = at.join("pgbouncer.ini");
        fs::write(&file, settings).context("could not write the settings of PgBouncer")?;
        let mut command = system.command(program);
        if is_root()? {
            // It refuses to be run by root.
            let user = read(Command::new("id").args(["-nu", "nobody"]))?;
            read(Command::new("chown").arg("-R").arg(&user).arg(at))?;
            command.args(["-u", &user]);
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))
            .context("could not hide the settings of PgBouncer")?;
        command.arg("-q").arg(&file).env("END", "TERM");
        let keeper = Keeper::start("PgBouncer", folder, &command)?;
        let address = format!("127.0.0.1:{port}");
        keeper.until_up(|| ask::postgres(&address))?;
        Ok(Self {
            _keeper: keeper,
            url: format!("{scheme}://{user}@{address}/{database}"),
            version,
        })
    }

    /// The URL of the database by way of it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it says of its version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }
}

const PROGRAM: &str = "pgbouncer";

/// Where it is within the system, after it was installed if it is missing.
fn installed(system: &System) -> Result<PathBuf> {
    let find = || system.find(PROGRAM, &["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"]);
    if let Some(program) = find() {
        return Ok(program);
    }
    match system.root() {
        Some(root) => add(system, root, PROGRAM, PROGRAM)?,
        None => install("PgBouncer", &[PROGRAM])?,
    }
    find().context("PgBouncer was installed, and is not there")
}

/// Whether it keeps track of prepared statements, from what it says of its version: `PgBouncer 1.24.1`.
fn keeps_statements(version: &str) -> bool {
    let number = version.rsplit(' ').next().unwrap_or_default();
    let mut numbers = number.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(1), Some(21))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_1_21_it_keeps_statements() {
        for (version, expected) in [
            ("PgBouncer 1.18.0", false),
            ("PgBouncer 1.20.1", false),
            ("PgBouncer 1.21.0", true),
            ("PgBouncer 1.24.1", true),
            ("PgBouncer 2.0.0", true),
            ("", false),
        ] {
            assert_eq!(keeps_statements(version), expected, "{version}");
        }
    }
}
