//! A broker of our own from an installed RabbitMQ: its own name, ports, cookie and folder, and nothing left behind.

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{CTL, URL, amqp, until_up};
use crate::error::{Doing, Result, failed};
use crate::services::{Service, quoted};
use crate::shell;
use crate::stop::Stop;

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

const KEEPER: &str = include_str!("keeper.sh");
const LOG: &str = "console.log";
const LOG_TAIL: usize = 40;
/// Longer than the keeper takes before it kills.
const END: Duration = Duration::from_secs(15);

/// Small alarms, no plugins, and no busy waiting: this broker shares a machine with the tests.
const CONFIG: &str = "disk_free_limit.absolute = 1MB\n";
const PLUGINS: &str = "[].\n";
const ERLANG_ARGS: &str =
    "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none";

/// The programs of an installed RabbitMQ.
pub(super) struct Install {
    server: PathBuf,
    ctl: PathBuf,
    epmd: PathBuf,
}

impl Install {
    /// Looks for RabbitMQ on this machine.
    pub(super) fn find() -> Option<Self> {
        let server = shell::find("rabbitmq-server", FOLDERS)?;
        let ctl = server.with_file_name("rabbitmqctl");
        let epmd = shell::find("epmd", ERLANG_FOLDERS)?;
        Some(Self { server, ctl, epmd })
    }
}

/// A broker started for this run.
pub(super) struct Private {
    // Dropped in this order: first the broker ends, then its folder goes.
    keeper: Keeper,
    folder: TempDir,
    address: String,
}

impl Private {
    /// Starts a broker and waits until it speaks AMQP.
    pub(super) fn start(install: &Install, stop: &Stop) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("brighter-rabbitmq-")
            .tempdir()
            .doing("make a folder")?;
        let [amqp, distribution, epmd] = free_ports()?;
        let environment = environment(folder.path(), amqp, distribution, epmd);
        write(&folder, "rabbitmq.conf", CONFIG)?;
        write(&folder, "enabled_plugins", PLUGINS)?;
        write_ctl(&folder, install, &environment)?;

        let keeper = Keeper::start(install, folder.path(), environment)?;
        let mut private = Self {
            keeper,
            folder,
            address: format!("127.0.0.1:{amqp}"),
        };
        let address = private.address.clone();
        let up = until_up(&address, stop, || private.keeper.alive());
        up.map_err(|error| match error {
            crate::error::Error::Failed(text) => failed(format_args!("{text}\n{}", private.log_tail())),
            other => other,
        })?;
        Ok(private)
    }

    fn log_tail(&self) -> String {
        let log = fs::read(self.folder.path().join(LOG)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_TAIL)..];
        format!("The end of its log:\n  {}", tail.join("\n  "))
    }
}

impl Service for Private {
    fn describe(&self) -> Result<String> {
        match amqp::version(&self.address) {
            Ok(version) => Ok(format!("RabbitMQ {version}, private, started for this run")),
            Err(error) => Err(failed(format_args!("{error}\n{}", self.log_tail()))),
        }
    }

    fn environment(&self) -> Vec<(&'static str, Option<String>)> {
        let ctl = self.folder.path().join("rabbitmqctl").display().to_string();
        vec![
            (URL, Some(format!("amqp://guest:guest@{}/%2f", self.address))),
            (CTL, Some(ctl)),
        ]
    }
}

/// The script that keeps the broker, and the pipe by which it knows that we are alive.
struct Keeper(Child);

impl Keeper {
    fn start(install: &Install, folder: &Path, environment: Vec<(&str, OsString)>) -> Result<Self> {
        let log = fs::File::create(folder.join(LOG)).doing("make a log file")?;
        let mut command = Command::new("sh");
        // Whoever has settings for another broker does not mean this one.
        for (name, _) in std::env::vars_os() {
            if name
                .to_str()
                .is_some_and(|name| name.starts_with("RABBITMQ_") || name.starts_with("ERL_"))
            {
                command.env_remove(name);
            }
        }
        command
            .args(["-c", KEEPER, "keeper"])
            .envs(environment)
            .envs([
                ("SERVER", &install.server),
                ("EPMD", &install.epmd),
                ("FOLDER", &folder.to_owned()),
            ])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().doing("share a log file")?)
            .stderr(log);
        shell::own_group(&mut command)
            .spawn()
            .doing("start a private RabbitMQ")
            .map(Self)
    }

    fn alive(&mut self) -> Result {
        match self.0.try_wait().doing("watch RabbitMQ")? {
            None => Ok(()),
            Some(_) => Err(failed("RabbitMQ ended while it was starting")),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let deadline = Instant::now() + END;
        while matches!(self.0.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                shell::signal_group(&mut self.0, "KILL");
                let _ = self.0.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// All that makes a node private, for the server and for `rabbitmqctl` alike.
fn environment(folder: &Path, amqp: u16, distribution: u16, epmd: u16) -> Vec<(&'static str, OsString)> {
    let within = |name: &str| folder.join(name).into_os_string();
    let name = format!("brighter-{}-{amqp}@localhost", std::process::id());
    vec![
        // The Erlang cookie lives in the home folder.
        ("HOME", folder.into()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
        ("ERL_EPMD_PORT", epmd.to_string().into()),
        ("ERL_CRASH_DUMP", within("erl_crash.dump")),
        ("RABBITMQ_NODENAME", name.into()),
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

/// Ports that nothing listens on, held together until all are known so that they differ.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    let mut held = Vec::with_capacity(N);
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0").doing("find a free port")?;
        *port = listener.local_addr().doing("find a free port")?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// Writes a `rabbitmqctl` that reaches this node from any environment.
fn write_ctl(folder: &TempDir, install: &Install, environment: &[(&str, OsString)]) -> Result {
    let mut script = String::from("#!/bin/sh\n");
    for (name, value) in environment {
        script += &format!("export {name}={}\n", quoted(&value.to_string_lossy()));
    }
    script += &format!("exec {} \"$@\"\n", quoted(&install.ctl.to_string_lossy()));
    let path = write(folder, "rabbitmqctl", &script)?;
    shell::make_executable(&path)
}

fn write(folder: &TempDir, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.path().join(name);
    fs::write(&path, text).doing(format_args!("write {}", path.display()))?;
    Ok(path)
}
