//! promtool, which comes with Prometheus and checks metrics. Prometheus itself is not started.

use std::path::PathBuf;
use std::process::Command;

use super::{Service, install};
use crate::error::{Result, failed};
use crate::shell;
use crate::stop::Stop;

struct Promtool(PathBuf);

/// Uses the one of this machine, or installs it.
pub(super) fn start(stop: &Stop) -> Result<Box<dyn Service>> {
    if let Some(promtool) = find() {
        return Ok(Box::new(Promtool(promtool)));
    }
    install::install("promtool", &["prometheus"], stop)?;
    let promtool = find().ok_or_else(|| failed("prometheus is installed, and there is no promtool"))?;
    Ok(Box::new(Promtool(promtool)))
}

fn find() -> Option<PathBuf> {
    shell::find("promtool", &["/usr/bin"])
}

impl Service for Promtool {
    fn describe(&self) -> Result<String> {
        // It tells more lines about how it was built.
        let said = shell::read(Command::new(&self.0).arg("--version"))?;
        Ok(said.lines().next().unwrap_or_default().to_owned())
    }

    fn environment(&self) -> Vec<(&'static str, Option<String>)> {
        vec![("BRIGHTER_TEST_PROMTOOL", Some(self.0.display().to_string()))]
    }
}
