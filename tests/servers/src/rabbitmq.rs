//! A private RabbitMQ. It may be stopped, killed and started again with the same data.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};

use crate::ask;
use crate::install::install;
use crate::keeper::{Keeper, Lifeline, folder};
use crate::node_place::NodePlace;
use crate::server::Kind;
use crate::servers::Running;
use crate::system::System;

/// A `rabbitmqctl` for the broker, where there is one.
pub(crate) const CTL: &str = "BRIGHTER_TEST_RABBITMQ_CTL";

pub(crate) const KIND: Kind = Kind {
    name: "RabbitMQ",
    url: "BRIGHTER_TEST_RABBITMQ_URL",
    schemes: &["amqp", "amqps"],
    port: 5672,
    path: "%2f",
    ask: ask::rabbitmq,
    is_installed: || Install::find().is_some(),
    packages: &["rabbitmq-server"],
    start: || {
        let install = Install::find().context("RabbitMQ is not installed")?;
        let broker = Broker::launch(&install, Settings::default())?;
        broker.until_up()?;
        Ok(Box::new(broker))
    },
    image: "docker.io/library/rabbitmq:3.13",
    image_password: "RABBITMQ_DEFAULT_PASS",
    image_user: "guest",
    advice: "install RabbitMQ (Debian, Ubuntu: `apt-get install rabbitmq-server`; macOS: `brew install rabbitmq`)",
};

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
/// No plugins: this broker shares a machine with the tests.
const PLUGINS: &str = "[].\n";

/// The programs of an installed RabbitMQ.
#[derive(Debug, Clone)]
pub struct Install {
    system: System,
    server: PathBuf,
    epmd: PathBuf,
    erl_call: Option<PathBuf>,
}

impl Install {
    /// Looks for RabbitMQ in the root that the environment names ([`ROOT`](crate::ROOT)), or else on this machine.
    #[must_use]
    pub fn find() -> Option<Self> {
        Self::find_in(System::of_environment())
    }

    /// Looks for RabbitMQ as [`find`](Self::find) does, and installs it on this machine if it is missing.
    ///
    /// # Errors
    /// RabbitMQ is missing in the root that the environment names, or it cannot be installed on this machine.
    pub fn find_or_install() -> Result<Self> {
        if let Some(found) = Self::find() {
            return Ok(found);
        }
        if let Some(root) = System::of_environment().root() {
            bail!("RabbitMQ is not installed in {}", root.display());
        }
        install(KIND.name, KIND.packages)?;
        Self::find().context("RabbitMQ was installed, and cannot be found")
    }

    /// Looks for RabbitMQ in this system.
    #[must_use]
    pub fn find_in(system: System) -> Option<Self> {
        Some(Self {
            server: system.find("rabbitmq-server", FOLDERS)?,
            epmd: system.find("epmd", ERLANG_FOLDERS)?,
            erl_call: system.find("erl_call", ERLANG_FOLDERS),
            system,
        })
    }

    /// Returns the same programs in this system.
    pub(crate) fn moved_to(&self, system: System) -> Self {
        Self {
            system,
            ..self.clone()
        }
    }

    /// Returns the system that the programs belong to.
    pub(crate) fn system(&self) -> &System {
        &self.system
    }

    /// Returns a line of a shell script that becomes this program.
    fn exec(&self, program: &Path, arguments: &str) -> String {
        let prefix = self.system.prefix();
        let words = prefix
            .iter()
            .map(OsString::as_os_str)
            .chain([program.as_os_str()]);
        let words: Vec<_> = words.map(|word| quoted(&word.to_string_lossy())).collect();
        format!("exec {} {arguments}\n", words.join(" "))
    }
}

/// What a broker is told before it starts.
#[derive(Clone)]
pub struct Settings {
    /// The user that may do everything.
    pub user: String,
    /// The password of the user.
    pub password: String,
    /// More lines of `rabbitmq.conf`.
    pub config: String,
    /// The certificates of a TLS listener, if there is to be one.
    pub tls: Option<Tls>,
}

/// The certificates of a TLS listener, in PEM.
#[derive(Clone)]
pub struct Tls {
    /// The authority that signs the certificates of clients.
    pub authority: String,
    /// The certificate of the broker.
    pub certificate: String,
    /// The key of the broker's certificate.
    pub key: String,
    /// Whether a client without a certificate is refused.
    pub client_certificate: bool,
}

impl Default for Settings {
    /// Returns the user `guest` and no TLS.
    fn default() -> Self {
        let guest = || "guest".to_owned();
        Self {
            user: guest(),
            password: guest(),
            config: String::new(),
            tls: None,
        }
    }
}

impl Settings {
    /// Returns the text of `rabbitmq.conf`, with the TLS listener on this port and its certificates in the folder.
    fn rabbitmq_conf(&self, folder: &Path, place: &NodePlace) -> String {
        let Self {
            user,
            password,
            config,
            tls,
        } = self;
        // A small alarm, for this broker shares a disk with the tests.
        let mut text = format!(
            "disk_free_limit.absolute = 1MB\ndefault_user = {user}\ndefault_pass = {password}\n{config}\n"
        );
        if let Some(Tls {
            client_certificate: refuse,
            ..
        }) = tls
        {
            let (folder, verify) = (
                folder.display(),
                if *refuse { "verify_peer" } else { "verify_none" },
            );
            let _ = write!(
                text,
                "listeners.ssl.1 = {}:{}\n\
                 ssl_options.cacertfile = {folder}/authority.pem\n\
                 ssl_options.certfile = {folder}/certificate.pem\n\
                 ssl_options.keyfile = {folder}/key.pem\n\
                 ssl_options.verify = {verify}\n\
                 ssl_options.fail_if_no_peer_cert = {refuse}\n",
                place.ip, place.tls
            );
        }
        text
    }
}

/// A private broker. Dropping it ends it and removes all that it kept.
pub struct Broker {
    keeper: Keeper,
    settings: Settings,
    install: Install,
    place: NodePlace,
    environment: Vec<(&'static str, OsString)>,
}

impl Broker {
    /// Starts a broker, and returns before it is up: see [`until_up`](Self::until_up).
    pub fn launch(install: &Install, settings: Settings) -> Result<Self> {
        Self::launch_at(install, settings, NodePlace::alone()?)
    }

    /// Starts a broker at a place, and returns before it is up.
    pub(crate) fn launch_at(install: &Install, settings: Settings, place: NodePlace) -> Result<Self> {
        let folder = folder(KIND.name)?;
        let environment = place.environment(folder.path());
        // The folder is closed to others: a key or a password is in these files.
        let write = |name: &str, text: &str, mode: u32| {
            let path = folder.path().join(name);
            fs::write(&path, text)
                .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(mode)))
                .with_context(|| format!("could not write {}", path.display()))
        };
        write(
            "rabbitmq.conf",
            &settings.rabbitmq_conf(folder.path(), &place),
            0o600,
        )?;
        write("enabled_plugins", PLUGINS, 0o600)?;
        if let Some(tls) = &settings.tls {
            write("authority.pem", &tls.authority, 0o600)?;
            write("certificate.pem", &tls.certificate, 0o600)?;
            write("key.pem", &tls.key, 0o600)?;
        }
        if let Some(cookie) = &place.cookie {
            // Erlang refuses one that others may read.
            write(".erlang.cookie", cookie, 0o400)?;
        }
        let ctl = install.exec(&install.server.with_file_name("rabbitmqctl"), "\"$@\"");
        write("rabbitmqctl", &(exports(&environment) + &ctl), 0o755)?;
        let epmd = format!("-address {} -port {}", place.ip, place.epmd);
        let epmd = install.exec(&install.epmd, &epmd);
        write("epmd", &(exports(&environment) + &epmd), 0o755)?;

        let mut server = install.system.command(&install.server);
        without_settings_of_others(&mut server).envs(environment.iter().cloned());
        server
            .env("END", "TERM")
            .env("PID_FILE", folder.path().join("rabbitmq.pid"));
        if place.starts_epmd {
            server.env("EPMD", folder.path().join("epmd"));
        }
        let keeper = Keeper::start(KIND.name, folder, &server)?;
        Ok(Self {
            keeper,
            settings,
            install: install.clone(),
            place,
            environment,
        })
    }

    /// Waits until the broker speaks AMQP, and listens for TLS if it is to.
    pub fn until_up(&self) -> Result<()> {
        self.keeper.until_up(|| {
            let version = ask::rabbitmq(&self.address())?;
            if let Some(address) = self.tls_address() {
                TcpStream::connect(&address).with_context(|| format!("could not reach {address}"))?;
            }
            Ok(version)
        })
    }

    /// Kills the broker, as `kill -9` does, and returns when it is gone. It must be up.
    pub fn kill(&mut self) -> Result<()> {
        self.keeper.tell("kill")
    }

    /// Stops the broker, as a system that shuts down does, and returns when it is gone.
    pub fn stop(&mut self) -> Result<()> {
        self.keeper.tell("stop")
    }

    /// Starts a broker that was killed or stopped, with its data, and returns before it is up.
    pub fn start(&mut self) -> Result<()> {
        self.keeper.tell("start")
    }

    /// Removes all data of a broker that was killed or stopped, as if its machine were replaced.
    pub fn wipe(&mut self) -> Result<()> {
        let data = self.keeper.folder().join("mnesia");
        fs::remove_dir_all(&data).with_context(|| format!("could not remove {}", data.display()))
    }

    /// Returns whether the broker is there: up, or starting.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.keeper.is_running()
    }

    /// Returns the `host:port` of the broker.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", self.place.ip, self.place.amqp)
    }

    /// Returns the `host:port` of its TLS listener, if it has one.
    #[must_use]
    pub fn tls_address(&self) -> Option<String> {
        let tls = self.settings.tls.as_ref();
        tls.map(|_| format!("localhost:{}", self.place.tls))
    }

    /// Returns the URL of its virtual host `/`, with its user and password.
    #[must_use]
    pub fn url(&self) -> String {
        KIND.url(&self.settings.user, &self.settings.password, &self.address())
    }

    /// Returns the name of its node.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.place.node
    }

    /// Returns a `rabbitmqctl` that reaches this broker from any environment.
    #[must_use]
    pub fn ctl(&self) -> PathBuf {
        self.keeper.folder().join("rabbitmqctl")
    }

    /// Returns a command that evaluates, within the broker, the Erlang that it reads from its input and that ends with
    /// a point. Much faster than `rabbitmqctl`, which starts a system of its own for each call.
    pub fn eval(&self) -> Result<Command> {
        // Two of one name would get each other's answers.
        static CALLS: AtomicU64 = AtomicU64::new(0);
        let program = self.install.erl_call.as_ref();
        let program =
            program.context("there is no `erl_call`: install Erlang's base (Debian: `erlang-base`)")?;
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let name = format!("call-{}-{call}", std::process::id());
        let mut command = self.install.system.command(program);
        without_settings_of_others(&mut command)
            .args(["-h", &name, "-sname", &self.place.node, "-timeout", "20", "-e"])
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }
}

impl Running for Broker {
    fn describe(&self) -> Result<String> {
        let described = KIND.describe(&self.address(), "private, started for this run");
        described.map_err(|error| self.keeper.with_log(error))
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![(KIND.url, self.url()), (CTL, self.ctl().display().to_string())]
    }

    fn into_lifeline(self: Box<Self>) -> Option<Lifeline> {
        Some(self.keeper.into_lifeline())
    }
}

/// Settings for another broker are not meant for this one.
fn without_settings_of_others(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if ["RABBITMQ_", "ERL_"]
            .iter()
            .any(|prefix| name.to_string_lossy().starts_with(prefix))
        {
            command.env_remove(name);
        }
    }
    command
}

/// Returns the beginning of a shell script that has this environment.
fn exports(environment: &[(&str, OsString)]) -> String {
    let lines = environment
        .iter()
        .map(|(name, value)| format!("export {name}={}\n", quoted(&value.to_string_lossy())));
    std::iter::once("#!/bin/sh\n".to_owned()).chain(lines).collect()
}

/// Returns a word that a POSIX shell reads back unchanged.
pub(crate) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_quote_survives_the_shell() {
        assert_eq!(super::quoted("amqp://it's"), r"'amqp://it'\''s'");
    }
}
