//! [`PgBouncer`]: a pooler between a test and PostgreSQL, which gives a server's connection to a client that has a transaction.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::ask;
use crate::install::install;
use crate::keeper::{Keeper, folder};
use crate::programs::{find, free_port, is_root, read};

/// A private PgBouncer with `pool_mode = transaction`. It is installed first where this may be done, and ends when it is
/// dropped.
pub struct PgBouncer {
    _keeper: Keeper,
    url: String,
    version: String,
}

impl PgBouncer {
    /// Starts one with so many connections to the server of this URL, `postgres://user:password@host:port/database`.
    pub fn start(postgres: &str, connections: usize) -> Result<Self> {
        let program = match program() {
            Some(program) => program,
            None => {
                install("PgBouncer", &["pgbouncer"])?;
                program().context("PgBouncer was installed, and is not there")?
            }
        };
        let version = read(Command::new(&program).arg("--version"))?;
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
        let file = at.join("pgbouncer.ini");
        fs::write(&file, settings).context("could not write the settings of PgBouncer")?;
        let mut command = Command::new(program);
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
            version: version.lines().next().unwrap_or_default().to_owned(),
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

fn program() -> Option<std::path::PathBuf> {
    find(
        "pgbouncer",
        &["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"],
    )
}
