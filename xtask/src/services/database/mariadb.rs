//! How MariaDB is found and started. A server that the environment names may be MySQL as well.

use std::fs;
use std::process::Command;

use super::private::{Place, USER};
use super::{Kind, Programs, install, probe};
use crate::error::{Doing, Result};
use crate::shell;

pub(super) const KIND: Kind = Kind {
    name: "MariaDB",
    url: "BRIGHTER_TEST_MYSQL_URL",
    schemes: &["mysql", "mariadb"],
    port: 3306,
    database: "mysql",
    // Without the part that sets up a server for the system; the making of a data folder asks a client's program.
    packages: &["mariadb-server-core", "mariadb-client-core"],
    image: "docker.io/library/mariadb:11.4",
    image_environment: |password| vec![format!("MARIADB_ROOT_PASSWORD={password}")],
    image_user: "root",
    find,
    prepare,
    // Nothing of it outlives the run, so it need not put anything in order.
    end: "KILL",
    probe: probe::mysql,
    advice: "install MariaDB (Debian, Ubuntu: `apt-get install mariadb-server`; macOS: `brew install mariadb`; it need \
             not be running, a private one is started)",
};

const FOLDERS: &[&str] = &[
    "/usr/sbin",
    "/opt/homebrew/opt/mariadb/bin",
    "/usr/local/opt/mariadb/bin",
    "/usr/local/mysql/bin",
];

/// Safe against nothing but the end of this run, and small: the machine is shared with the tests.
const SETTINGS: &[&str] = &[
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=32M",
    "--max-connections=300",
];

fn find() -> Option<Programs> {
    let server = shell::find("mariadbd", FOLDERS)?;
    let initialise = shell::find("mariadb-install-db", FOLDERS)?;
    shell::find("my_print_defaults", FOLDERS)?;
    Some(Programs { server, initialise })
}

fn prepare(programs: &Programs, place: &Place) -> Result<Command> {
    let folder = place.folder();
    let data = format!("--datadir={}", folder.join("data").display());
    // It refuses root too, unless root is named.
    let user = install::is_root()?.then_some("--user=root");
    shell::read(
        Command::new(&programs.initialise)
            .current_dir(folder)
            .args(["--no-defaults", "--skip-name-resolve", "--skip-test-db"])
            .arg(&data)
            .args(user),
    )?;
    // Run when the server starts. The system's root may log in by the socket, which is within the folder.
    let (users, password) = (folder.join("users.sql"), &place.password);
    let sql = format!(
        "CREATE OR REPLACE USER '{USER}'@'127.0.0.1' IDENTIFIED BY '{password}';\n\
         GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'127.0.0.1' WITH GRANT OPTION;\n"
    );
    fs::write(&users, sql).doing("write the users of MariaDB")?;
    let mut server = Command::new(&programs.server);
    server
        .arg("--no-defaults")
        .arg(data)
        .arg(format!("--port={}", place.port))
        .arg(format!("--socket={}", folder.join("socket").display()))
        .arg(format!("--pid-file={}", folder.join("pid").display()))
        .arg(format!("--init-file={}", users.display()))
        .args(user)
        .args(SETTINGS);
    Ok(server)
}
