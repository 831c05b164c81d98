//! The programs of an installed RabbitMQ.

use std::path::PathBuf;

/// Where packages put the real scripts. The ones that Debian has in /usr/sbin switch users and want to be root.
const FOLDERS: &[&str] = &[
    "/usr/lib/rabbitmq/bin",
    "/opt/homebrew/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
    "/home/linuxbrew/.linuxbrew/opt/rabbitmq/sbin",
    "/usr/local/sbin",
    "/usr/sbin",
];
const ERLANG_FOLDERS: &[&str] = &["/usr/lib/erlang/bin", "/opt/homebrew/bin", "/usr/local/bin"];

/// The programs of an installed RabbitMQ.
#[derive(Debug, Clone)]
pub struct Install {
    pub(crate) server: PathBuf,
    pub(crate) ctl: PathBuf,
    pub(crate) epmd: PathBuf,
    pub(crate) erl_call: Option<PathBuf>,
}

impl Install {
    /// Looks for RabbitMQ on this machine.
    #[must_use]
    pub fn find() -> Option<Self> {
        let server = find("rabbitmq-server", FOLDERS)?;
        let ctl = server.with_file_name("rabbitmqctl");
        let epmd = find("epmd", ERLANG_FOLDERS)?;
        let erl_call = find("erl_call", ERLANG_FOLDERS);
        Some(Self {
            server,
            ctl,
            epmd,
            erl_call,
        })
    }
}

/// The first of these folders, then of `PATH`, that has the program.
fn find(program: &str, folders: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders
        .iter()
        .map(PathBuf::from)
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
