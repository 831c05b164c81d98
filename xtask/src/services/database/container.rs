//! A server in a container, for machines without the database but with Docker or Podman.

use std::process::Command;

use super::private::some_password;
use super::{Kind, until_up, with_version};
use crate::error::{Result, failed};
use crate::services::Service;
use crate::shell;
use crate::stop::Stop;

const ENGINES: &[&str] = &["docker", "podman"];

/// A container that runs a server.
pub(super) struct Container {
    kind: &'static Kind,
    engine: &'static str,
    id: String,
    address: String,
    password: String,
}

impl Container {
    /// Starts a container with the first engine that works and waits until its server can be used.
    pub(super) fn start(kind: &'static Kind, stop: &Stop) -> Result<Self> {
        // A client without a daemon behind it is common, so the program alone says nothing.
        let works = |engine: &&&str| shell::read(Command::new(engine).arg("info")).is_ok();
        let engine = *ENGINES
            .iter()
            .find(works)
            .ok_or_else(|| failed("no container engine answers to `info`"))?;

        let pull = ["pull", kind.image];
        shell::run(Command::new(engine).args(pull).stdout(std::io::stderr()), stop)?;
        let password = some_password()?;
        let mut run = Command::new(engine);
        run.args(["run", "--rm", "--detach", "--publish"])
            .arg(format!("127.0.0.1::{}", kind.port));
        for setting in (kind.image_environment)(&password) {
            run.arg("--env").arg(setting);
        }
        let id = shell::read(run.arg(kind.image))?;
        // From here on `Drop` removes it.
        let mut container = Self {
            kind,
            engine,
            id,
            address: String::new(),
            password,
        };
        let port = format!("{}/tcp", kind.port);
        let ports = shell::read(Command::new(engine).args(["port", &container.id, &port]))?;
        container.address = ports.lines().next().unwrap_or_default().to_owned();
        until_up(kind, &container.address, stop, || container.alive())?;
        Ok(container)
    }

    fn alive(&self) -> Result {
        let state = ["inspect", "--format", "{{.State.Running}}", &self.id];
        match shell::read(Command::new(self.engine).args(state))?.as_str() {
            "true" => Ok(()),
            _ => Err(failed(format_args!(
                "the container of {} ended while it was starting",
                self.kind.name
            ))),
        }
    }
}

impl Service for Container {
    fn describe(&self) -> Result<String> {
        let version = (self.kind.probe)(&self.address)?;
        Ok(format!(
            "{}, in a container of {}, started for this run",
            with_version(self.kind, version),
            self.engine
        ))
    }

    fn environment(&self) -> Vec<(&'static str, Option<String>)> {
        let Kind {
            url,
            schemes,
            image_user,
            database,
            ..
        } = self.kind;
        let (scheme, password, address) = (schemes[0], &self.password, &self.address);
        vec![(
            *url,
            Some(format!("{scheme}://{image_user}:{password}@{address}/{database}")),
        )]
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Err(error) = shell::read(Command::new(self.engine).args(["rm", "--force", &self.id])) {
            eprintln!("services: a container may be left: {error}");
        }
    }
}
