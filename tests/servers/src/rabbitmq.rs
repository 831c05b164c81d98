//! A private RabbitMQ. It may be stopped, killed and started again with the same data.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};

use crate::ask;
use crate::keeper::{Keeper, Lifeline, folder};
use crate::programs::{find, free_port};
use crate::server::Kind;
use crate::servers::Running;

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
/// No plugins, and no busy waiting: this broker shares a machine with the tests.
const PLUGINS: &str = "[].\n";
const ERLANG_ARGS: &str =
    "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none";

/// The programs of an installed RabbitMQ.
#[derive(Debug, Clone)]
pub struct Install {
    server: PathBuf,
    epmd: PathBuf,
    erl_call: Option<PathBuf>,
}

impl Install {
    /// Looks for RabbitMQ on this machine.
    #[must_use]
    pub fn find() -> Option<Self> {
        Some(Self {
            server: find("rabbitmq-server", FOLDERS)?,
            epmd: find("epmd", ERLANG_FOLDERS)?,
            erl_call: find("erl_call", ERLANG_FOLDERS),
        })
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
    fn rabbitmq_conf(&self, folder: &Path, tls_port: u16) -> String {
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
                "listeners.ssl.1 = 127.0.0.1:{tls_port}\n\
                 ssl_options.cacertfile = {folder}/authority.pem\n\
                 ssl_options.certfile = {folder}/certificate.pem\n\
                 ssl_options.keyfile = {folder}/key.pem\n\
                 ssl_options.verify = {verify}\n\
                 ssl_options.fail_if_no_peer_cert = {refuse}\n"
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
    node: String,
    port: u16,
    tls_port: u16,
    environment: Vec<(&'static str, OsString)>,
}

impl Broker {
    /// Starts a broker, and returns before it is up: see [`until_up`](Self::until_up).
    pub fn launch(install: &Install, settings: Settings) -> Result<Self> {
        let folder = folder(KIND.name)?;
        let [port, tls_port, distribution, epmd] = free_port()?;
        let node = format!("brighter-{}-{port}@localhost", std::process::id());
        let environment = environment(folder.path(), &node, port, distribution, epmd);
        // The folder is closed to others: a key or a password is in these files.
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))
        };
        write("rabbitmq.conf", &settings.rabbitmq_conf(folder.path(), tls_port))?;
        write("enabled_plugins", PLUGINS)?;
        if let Some(tls) = &settings.tls {
            write("authority.pem", &tls.authority)?;
            write("certificate.pem", &tls.certificate)?;
            write("key.pem", &tls.key)?;
        }
        write("rabbitmqctl", &ctl_script(install, &environment))?;
        fs::set_permissions(folder.path().join("rabbitmqctl"), Permissions::from_mode(0o755))
            .context("could not make rabbitmqctl executable")?;

        let mut server = Command::new(&install.server);
        without_settings_of_others(&mut server).envs(environment.iter().cloned());
        server
            .env("END", "TERM")
            .env("PID_FILE", folder.path().join("rabbitmq.pid"))
            .env("EPMD", &install.epmd);
        let keeper = Keeper::start(KIND.name, folder, &server)?;
        Ok(Self {
            keeper,
            settings,
            install: install.clone(),
            node,
            port,
            tls_port,
            environment,
        })
    }

    /// Waits until the broker speaks AMQP.
    pub fn until_up(&self) -> Result<()> {
        self.keeper.until_up(|| ask::rabbitmq(&self.address()))
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

    /// Returns whether the broker is there: up, or starting.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.keeper.is_running()
    }

    /// Returns the `host:port` of the broker.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the `host:port` of its TLS listener, if it has one.
    #[must_use]
    pub fn tls_address(&self) -> Option<String> {
        let tls = self.settings.tls.as_ref();
        tls.map(|_| format!("localhost:{}", self.tls_port))
    }

    /// Returns the URL of its virtual host `/`, with its user and password.
    #[must_use]
    pub fn url(&self) -> String {
        KIND.url(&self.settings.user, &self.settings.password, &self.address())
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
        let mut command = Command::new(program);
        without_settings_of_others(&mut command)
            .args(["-h", &name, "-sname", &self.node, "-timeout", "20", "-e"])
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

/// All that makes a node private, for the server and for `rabbitmqctl` alike.
fn environment(
    folder: &Path,
    node: &str,
    amqp: u16,
    distribution: u16,
    epmd: u16,
) -> Vec<(&'static str, OsString)> {
    let within = |name: &str| folder.join(name).into_os_string();
    vec![
        // The Erlang cookie lives in the home folder.
        ("HOME", folder.into()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
        ("ERL_EPMD_PORT", epmd.to_string().into()),
        ("ERL_CRASH_DUMP", within("erl_crash.dump")),
        ("RABBITMQ_NODENAME", node.into()),
        ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".into()),
        ("RABBITMQ_NODE_PORT", amqp.to_string().into()),
        ("RABBITMQ_DIST_PORT", distribution.to_string().into()),
        ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", ERLANG_ARGS.into()),
        ("RABBITMQ_CONF_ENV_FILE", within("rabbitmq-env.conf")),
        ("RABBITMQ_CONFIG_FILE", within("rabbitmq.conf")),
        ("RABBITMQ_CONFIG_FILES", within("conf.d")),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", within("advanced.config")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", within("enabled_plugins")),
        ("RABBITMQ_MNESIA_BASE", within("mnesia")),
        ("RABBITMQ_GENERATED_CONFIG_DIR", within("config")),
        ("RABBITMQ_SCHEMA_DIR", within("schema")),
        ("RABBITMQ_LOG_BASE", within("log")),
        // To standard output.
        ("RABBITMQ_LOGS", "-".into()),
        ("RABBITMQ_PID_FILE", within("rabbitmq.pid")),
    ]
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

/// Writes a `rabbitmqctl` that reaches this node from any environment.
fn ctl_script(install: &Install, environment: &[(&str, OsString)]) -> String {
    let mut script = String::from("#!/bin/sh\n");
    for (name, value) in environment {
        let _ = writeln!(script, "export {name}={}", quoted(&value.to_string_lossy()));
    }
    let ctl = install.server.with_file_name("rabbitmqctl");
    script + &format!("exec {} \"$@\"\n", quoted(&ctl.to_string_lossy()))
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
