//! A broker in a container, for machines without RabbitMQ but with Docker or Podman.

use std::process::Command;

use super::{CTL, URL, until_up};
use crate::error::{Result, failed};
use crate::services::Service;
use crate::shell;
use crate::stop::Stop;

const IMAGE: &str = "docker.io/library/rabbitmq:3.13";
const ENGINES: &[&str] = &["docker", "podman"];

/// A container that runs a broker.
pub(super) struct Container {
    engine: &'static str,
    id: String,
    address: String,
}

impl Container {
    /// Starts a container with the first engine that works and waits until its broker speaks AMQP.
    pub(super) fn start(stop: &Stop) -> Result<Self> {
        // A client without a daemon behind it is common, so the program alone says nothing.
        let works = |engine: &&&str| shell::read(Command::new(engine).arg("info")).is_ok();
        let engine = *ENGINES
            .iter()
            .find(works)
            .ok_or_else(|| failed("no container engine answers to `info`"))?;

        shell::run(
            Command::new(engine)
                .args(["pull", IMAGE])
                .stdout(std::io::stderr()),
            stop,
        )?;
        let publish = ["--publish", "127.0.0.1::5672"];
        let id = shell::read(
            Command::new(engine)
                .args(["run", "--rm", "--detach"])
                .args(publish)
                .arg(IMAGE),
        )?;
        // From here on `Drop` removes it.
        let mut container = Self {
            engine,
            id,
            address: String::new(),
        };
        let ports = shell::read(Command::new(engine).args(["port", &container.id, "5672/tcp"]))?;
        container.address = ports.lines().next().unwrap_or_default().to_owned();
        until_up(&container.address, stop, || container.alive())?;
        Ok(container)
    }

    fn alive(&self) -> Result {
        let state = ["inspect", "--format", "{{.State.Running}}", &self.id];
        match shell::read(Command::new(self.engine).args(state))?.as_str() {
            "true" => Ok(()),
            _ => Err(failed("the container of RabbitMQ ended while it was starting")),
        }
    }
}

impl Service for Container {
    fn describe(&self) -> Result<String> {
        let version = private_rabbitmq::version(&self.address)?;
        Ok(format!(
            "RabbitMQ {version}, in a container of {}, started for this run",
            self.engine
        ))
    }

    fn environment(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            (URL, Some(format!("amqp://guest:guest@{}/%2f", self.address))),
            (CTL, None),
        ]
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Err(error) = shell::read(Command::new(self.engine).args(["rm", "--force", &self.id])) {
            eprintln!("services: a container may be left: {error}");
        }
    }
}
