//! [`Broker`]: a broker started for one run.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::keeper::{Keeper, log_tail, without_others_settings};
use crate::{Doing, Install, Result, Settings, amqp, failed};

const LOG_TAIL: usize = 40;
/// No plugins, and no busy waiting: this broker shares a machine with the tests.
const PLUGINS: &str = "[].\n";
const ERLANG_ARGS: &str =
    "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none";
/// How long a broker may take to start.
const START: Duration = Duration::from_secs(60);
/// Between two looks at a broker that starts.
const STEP: Duration = Duration::from_millis(50);

/// A broker started for one run. Dropping it ends it and removes all that it kept.
pub struct Broker {
    // Dropped in this order: first the broker ends, then its folder goes.
    keeper: Keeper,
    folder: TempDir,
    settings: Settings,
    install: Install,
    node: String,
    port: u16,
    tls_port: u16,
    environment: Vec<(&'static str, OsString)>,
}

impl Broker {
    /// Starts a broker, and returns before it is up: see [`until_up`](Self::until_up).
    ///
    /// # Errors
    /// A folder, a file, a port or a process cannot be had.
    pub fn launch(install: &Install, settings: Settings) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("brighter-rabbitmq-")
            .tempdir()
            .doing("make a folder")?;
        let [port, tls_port, distribution, epmd] = free_ports()?;
        let node = format!("brighter-{}-{port}@localhost", std::process::id());
        let environment = environment(folder.path(), &node, port, distribution, epmd);
        let shown = folder.path().display().to_string();
        write(
            &folder,
            "rabbitmq.conf",
            &settings.rabbitmq_conf(&shown, tls_port),
        )?;
        write(&folder, "enabled_plugins", PLUGINS)?;
        if let Some(tls) = &settings.tls {
            write(&folder, "authority.pem", &tls.authority)?;
            write(&folder, "certificate.pem", &tls.certificate)?;
            write(&folder, "key.pem", &tls.key)?;
        }
        write_ctl(&folder, install, &environment)?;
        let mut keeper = Keeper::start(install, folder.path(), &environment)?;
        keeper.tell("start")?;
        Ok(Self {
            keeper,
            folder,
            settings,
            install: install.clone(),
            node,
            port,
            tls_port,
            environment,
        })
    }

    /// Waits until the broker speaks AMQP; `wait` is called between two looks, and may end the waiting.
    ///
    /// # Errors
    /// The broker ended, or was not up in time; or what `wait` ended with.
    pub fn until_up<E: From<crate::Error>>(&self, mut wait: impl FnMut() -> Result<(), E>) -> Result<(), E> {
        let deadline = Instant::now() + START;
        loop {
            let Err(error) = amqp::version(&self.address()) else {
                return Ok(());
            };
            if !self.keeper.is_running() {
                return Err(self.with_log("RabbitMQ ended while it was starting").into());
            }
            if Instant::now() > deadline {
                let after = START.as_secs();
                return Err(self
                    .with_log(format_args!("RabbitMQ was not up within {after} s: {error}"))
                    .into());
            }
            std::thread::sleep(STEP);
            wait()?;
        }
    }

    /// The version that the broker answers with now.
    ///
    /// # Errors
    /// It does not answer.
    pub fn version(&self) -> Result<String> {
        amqp::version(&self.address()).map_err(|error| self.with_log(error))
    }

    /// Kills the broker, as `kill -9` does, and returns when it is gone. It must be up.
    ///
    /// # Errors
    /// Its keeper is gone.
    pub fn kill(&mut self) -> Result {
        self.keeper.tell("kill")
    }

    /// Stops the broker, as a system that shuts down does, and returns when it is gone.
    ///
    /// # Errors
    /// Its keeper is gone.
    pub fn stop(&mut self) -> Result {
        self.keeper.tell("stop")
    }

    /// Starts a broker that was killed or stopped, with its data, and returns before it is up.
    ///
    /// # Errors
    /// Its keeper is gone.
    pub fn start(&mut self) -> Result {
        self.keeper.tell("start")
    }

    /// Whether the broker is there: up, or starting.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.keeper.is_running()
    }

    /// `host:port` of the broker.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `host:port` of its TLS listener, if it has one.
    #[must_use]
    pub fn tls_address(&self) -> Option<String> {
        let tls = self.settings.tls.as_ref();
        tls.map(|_| format!("localhost:{}", self.tls_port))
    }

    /// What it was told before it started.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The URL of its virtual host `/`, with its user and password.
    #[must_use]
    pub fn url(&self) -> String {
        let Settings { user, password, .. } = &self.settings;
        format!("amqp://{user}:{password}@{}/%2f", self.address())
    }

    /// A `rabbitmqctl` that reaches this broker from any environment.
    #[must_use]
    pub fn ctl(&self) -> PathBuf {
        self.folder.path().join("rabbitmqctl")
    }

    /// A command that evaluates, within the broker, the Erlang that it reads from its input and that ends with a
    /// point. Much faster than `rabbitmqctl`, which starts a system of its own for each call.
    ///
    /// # Errors
    /// The Erlang on this machine has no `erl_call`.
    pub fn eval(&self) -> Result<Command> {
        let Some(program) = &self.install.erl_call else {
            return Err(failed(
                "there is no `erl_call` on this machine: install all of Erlang's base (Debian: `erlang-base`)",
            ));
        };
        // Two of one name would get each other's answers.
        static CALLS: AtomicU64 = AtomicU64::new(0);
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let name = format!("call-{}-{call}", std::process::id());
        let mut command = Command::new(program);
        without_others_settings(&mut command);
        command
            .args(["-h", &name, "-sname", &self.node, "-timeout", "20", "-e"])
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }

    fn with_log(&self, text: impl std::fmt::Display) -> crate::Error {
        failed(format_args!("{text}\n{}", log_tail(self.folder.path(), LOG_TAIL)))
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

/// Below those that systems give to connections that leave them: while a broker is down its port must not be taken,
/// and a client that tries it must not be connected with itself.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Ports that nothing listens on, held together until all are known so that they differ.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut held = Vec::with_capacity(N);
    for _ in PORTS {
        if held.len() == N {
            break;
        }
        let port = PORTS.start + random() % (PORTS.end - PORTS.start);
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            held.push((port, listener));
        }
    }
    let ports: Vec<_> = held.iter().map(|(port, _)| *port).collect();
    <[u16; N]>::try_from(ports).map_err(|_| failed("could not find free ports"))
}

/// The standard library seeds its hashers at random.
fn random() -> u16 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let [a, b, ..] = RandomState::new().build_hasher().finish().to_ne_bytes();
    u16::from_ne_bytes([a, b])
}

/// Writes a `rabbitmqctl` that reaches this node from any environment.
fn write_ctl(folder: &TempDir, install: &Install, environment: &[(&str, OsString)]) -> Result {
    let mut script = String::from("#!/bin/sh\n");
    for (name, value) in environment {
        script += &format!("export {name}={}\n", quoted(&value.to_string_lossy()));
    }
    script += &format!("exec {} \"$@\"\n", quoted(&install.ctl.to_string_lossy()));
    let path = write(folder, "rabbitmqctl", &script)?;
    #[cfg(unix)]
    {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&path, permissions).doing(format_args!("make {} executable", path.display()))?;
    }
    Ok(())
}

/// A word that a POSIX shell reads back unchanged.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Only the owner may read it: a key or a password may be in it.
fn write(folder: &TempDir, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.path().join(name);
    let mut file = fs::File::create(&path).doing(format_args!("make {}", path.display()))?;
    file.write_all(text.as_bytes())
        .doing(format_args!("write {}", path.display()))?;
    Ok(path)
}
