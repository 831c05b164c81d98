//! A private MariaDB.

use std::path::Path;
use std::process::Command;

use brighter_test_servers::System;
use sqlx::MySql;
use tokio::sync::OnceCell;

use crate::keeper::Signals;
use crate::node::PASSWORD;
use crate::server::{Kind, Server};

/// A private server.
pub type MariaDb = Server<MySql>;

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

impl Kind for MySql {
    const OWN: &'static str = "mysql";
    const SIGNALS: Signals = Signals {
        kill: "KILL",
        stop: "TERM",
    };

    fn prepare(folder: &Path, port: u16) -> Command {
        let system = System::of_environment();
        let program = |name| {
            let program = system.find(name, FOLDERS);
            let program = program.expect("MariaDB is installed on this machine, for these tests stop it");
            system.command(&program)
        };
        let data = format!("--datadir={}", folder.join("data").display());
        // It refuses root, unless root is named.
        let user = is_root().then_some("--user=root");
        let output = program("mariadb-install-db")
            .current_dir(folder)
            .args(["--no-defaults", "--skip-name-resolve", "--skip-test-db"])
            .arg(&data)
            .args(user)
            .output()
            .expect("mariadb-install-db starts");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "mariadb-install-db: {told}");
        // Run whenever the server starts.
        let users = folder.join("users.sql");
        let sql = format!(
            "CREATE USER IF NOT EXISTS 'tester'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n\
             GRANT ALL PRIVILEGES ON *.* TO 'tester'@'127.0.0.1' WITH GRANT OPTION;\n"
        );
        std::fs::write(&users, sql).expect("its users can be written");
        let mut command = program("mariadbd");
        command
            .arg("--no-defaults")
            .arg(data)
            .arg(format!("--port={port}"))
            .arg(format!("--socket={}", folder.join("socket").display()))
            .arg(format!("--pid-file={}", folder.join("pid").display()))
            .arg(format!("--init-file={}", users.display()))
            .args(user)
            .args(SETTINGS);
        command
    }

    fn url(address: &str, database: &str) -> String {
        format!("mysql://tester:{PASSWORD}@{address}/{database}?ssl-mode=disabled")
    }
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

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
