//! A server in a container, for machines without the server but with Docker or Podman.

use std::process::Command;

use anyhow::{Context, Result};

use crate::keeper::{Lifeline, until_up};
use crate::programs::{password, read};
use crate::server::Kind;
use crate::servers::Running;

const ENGINES: &[&str] = &["docker", "podman"];
/// Runs a command when standard input is closed.
const AT_THE_END: &str = r#"trap : TERM; read -r _; "$@" >/dev/null 2>&1"#;

/// A container that runs a server.
pub(crate) struct Container {
    kind: &'static Kind,
    engine: &'static str,
    lifeline: Lifeline,
    address: String,
    password: String,
}

impl Container {
    /// Starts a container with the first engine that works, and waits until its server can be used.
    pub(crate) fn start(kind: &'static Kind) -> Result<Self> {
        // A client without a daemon behind it is common, so the program alone says nothing.
        let works = |engine: &&&str| read(Command::new(engine).arg("info")).is_ok();
        let engine = ENGINES
            .iter()
            .find(works)
            .context("no container engine answers to `info`")?;
        let call = |arguments: &[&str]| read(Command::new(engine).args(arguments));

        eprintln!("servers: pulling {}", kind.image);
        call(&["pull", kind.image])?;
        let password = password()?;
        let publish = format!("127.0.0.1::{}", kind.port);
        let secret = format!("{}={password}", kind.image_password);
        let id = call(&[
            "run",
            "--rm",
            "--detach",
            "--publish",
            &publish,
            "--env",
            &secret,
            kind.image,
        ])?;
        let mut end = Command::new("sh");
        end.args(["-c", AT_THE_END, "end", engine, "rm", "--force", "--volumes", &id]);
        let lifeline = Lifeline::start(&mut end)?;
        let ports = call(&["port", &id, &format!("{}/tcp", kind.port)])?;
        let address = ports.lines().next().unwrap_or_default().to_owned();
        let is_running = || {
            let state = call(&["inspect", "--format", "{{.State.Running}}", &id]);
            state.is_ok_and(|state| state == "true")
        };
        until_up(kind.name, || (kind.ask)(&address), is_running)?;
        Ok(Self {
            kind,
            engine,
            lifeline,
            address,
            password,
        })
    }
}

impl Running for Container {
    fn describe(&self) -> Result<String> {
        let origin = format!("in a container of {}, started for this run", self.engine);
        self.kind.describe(&self.address, &origin)
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let url = self.kind.url(self.kind.image_user, &self.password, &self.address);
        vec![(self.kind.url, url)]
    }

    fn into_lifeline(self: Box<Self>) -> Option<Lifeline> {
        Some(self.lifeline)
    }
}
