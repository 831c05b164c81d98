//! How MariaDB is found and started. A server that the environment names may be MySQL as well.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::ask;
use crate::programs::{is_root, read};
use crate::server::{Database, Kind, Place, USER};
use crate::system::System;

pub(crate) const KIND: Kind = Kind {
    name: "MariaDB",
    url: "BRIGHTER_TEST_MYSQL_URL",
    schemes: &["mysql", "mariadb"],
    port: 3306,
    path: "mysql",
    ask: ask::mysql,
    is_installed: || {
        let system = System::of_environment();
        PROGRAMS
            .iter()
            .all(|program| system.find(program, FOLDERS).is_some())
    },
    // Without the part that sets up a server for the system; the making of a data folder asks a client's program.
    packages: &["mariadb-server-core", "mariadb-client-core"],
    // Nothing of it outlives the run, so it need not put anything in order.
    start: || Database::start(&KIND, "KILL", prepare),
    image: "docker.io/library/mariadb:11.4",
    image_password: "MARIADB_ROOT_PASSWORD",
    image_user: "root",
    advice: "install MariaDB (Debian, Ubuntu: `apt-get install mariadb-server`; macOS: `brew install mariadb`)",
};

const PROGRAMS: [&str; 3] = ["mariadbd", "mariadb-install-db", "my_print_defaults"];
const FOLDERS: &[&str] = &[
    "/usr/sbin",
    "/opt/homebrew/opt/mariadb/bin",
    "/usr/local/opt/mariadb/bin",
    "/usr/local/mysql/bin",
];

/// Safe against nothing but the end of this run, and small: the machine is shared with the tests.
const SETTINGS: &str = "--bind-address=127.0.0.1 --skip-name-resolve --skip-log-bin --max-connections=300 \
     --innodb-flush-log-at-trx-commit=0 --innodb-buffer-pool-size=64M --innodb-log-file-size=32M";

fn prepare(place: &Place<'_>) -> Result<Command> {
    let program = |name| {
        let program = place.system.find(name, FOLDERS);
        let program = program.with_context(|| format!("MariaDB is not installed: there is no {name}"))?;
        anyhow::Ok(place.system.command(&program))
    };
    let within = |option: &str, name: &str| format!("--{option}={}", place.folder.join(name).display());
    // It refuses root too, unless root is named.
    let user = is_root()?.then_some("--user=root");
    read(
        program(PROGRAMS[1])?
            .current_dir(place.folder)
            .args([
                "--no-defaults",
                "--skip-name-resolve",
                "--skip-test-db",
                &within("datadir", "data"),
            ])
            .args(user),
    )?;
    // Run when the server starts. The system's root may log in by the socket, which is within the folder.
    let sql = format!(
        "CREATE OR REPLACE USER '{USER}'@'127.0.0.1' IDENTIFIED BY '{}';\n\
         GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'127.0.0.1' WITH GRANT OPTION;\n",
        place.password
    );
    fs::write(place.folder.join("users.sql"), sql).context("could not write the users of MariaDB")?;
    let mut server = program(PROGRAMS[0])?;
    server
        .arg("--no-defaults")
        .args([within("datadir", "data"), within("socket", "socket")])
        .args([within("pid-file", "pid"), within("init-file", "users.sql")])
        .arg(format!("--port={}", place.port))
        .args(user)
        .args(SETTINGS.split(' '));
    Ok(server)
}
