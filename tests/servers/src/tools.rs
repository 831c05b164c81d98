//! Tools that tests ask and that are no servers: pika and promtool.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::keeper::Lifeline;
use crate::programs::{find, read};
use crate::servers::Running;
use crate::{install, shared};

pub(crate) const PIKA: &str = "BRIGHTER_TEST_PIKA";
pub(crate) const PROMTOOL: &str = "BRIGHTER_TEST_PROMTOOL";

const PIKA_VERSION: &str = "1.3.2";

/// A program that tests call.
struct Tool {
    variable: &'static str,
    name: &'static str,
    program: PathBuf,
    /// Has the program tell its version.
    version: &'static [&'static str],
}

impl Running for Tool {
    fn describe(&self) -> Result<String> {
        let said = read(Command::new(&self.program).args(self.version))?;
        // Some tell their own name, too.
        let said = said
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches(self.name);
        Ok(format!("{} {}", self.name, said.trim_start_matches([',', ' '])))
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![(self.variable, self.program.display().to_string())]
    }

    fn into_lifeline(self: Box<Self>) -> Option<Lifeline> {
        None
    }
}

/// Finds promtool, which comes with Prometheus and checks metrics, or installs it.
pub(crate) fn promtool() -> Result<Box<dyn Running>> {
    if find("promtool", &[]).is_none() {
        install::install("promtool", &["prometheus"])?;
    }
    let program =
        find("promtool", &["/usr/bin"]).context("prometheus is installed, and there is no promtool")?;
    Ok(Box::new(Tool {
        variable: PROMTOOL,
        name: "promtool",
        program,
        version: &["--version"],
    }))
}

/// Finds a Python with pika, an AMQP client that is not ours, or makes one under `target`.
pub(crate) fn pika() -> Result<Box<dyn Running>> {
    let folder = shared::target().join(format!("pika-{PIKA_VERSION}"));
    let program = folder.join("bin/python");
    let version = &["-c", "import pika; print(pika.__version__)"];
    let pika = Tool {
        variable: PIKA,
        name: "pika",
        program,
        version,
    };
    if pika.describe().is_err() {
        eprintln!(
            "servers: installing pika {PIKA_VERSION} into {}",
            folder.display()
        );
        make_environment(&mut Command::new("python3"), &folder)?;
        install_pika(&pika.program)?;
        pika.describe()?;
    }
    Ok(Box::new(pika))
}

fn make_environment(python3: &mut Command, folder: &Path) -> Result<()> {
    let made = read(python3.args(["-m", "venv", "--clear"]).arg(folder)).map(drop);
    made.context("the interop tests need python3 with venv: install it (`apt-get install python3-venv`)")
}

fn install_pika(python: &Path) -> Result<()> {
    let package = format!("pika=={PIKA_VERSION}");
    let mut install = Command::new(python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        &package,
    ]);
    let installed = read(&mut install).map(drop);
    installed
        .context("the interop tests need pika: see that pip reaches a package index (PIP_INDEX_URL), once")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_python_is_told_what_to_install() {
        let folder = tempfile::tempdir().unwrap();
        let mut python3 = Command::new("python3");
        python3.env("PATH", folder.path());
        let error = make_environment(&mut python3, &folder.path().join("pika")).unwrap_err();
        let said = format!("{error:#}");
        assert!(said.contains("`python3 -m venv"), "{said}");
        assert!(said.contains("apt-get install python3-venv"), "{said}");
    }

    #[test]
    fn a_pip_failure_shows_its_output_and_index() {
        // A shell is as good as a python whose pip fails: there is no script of that name.
        let said = format!("{:#}", install_pika(Path::new("/bin/sh")).unwrap_err());
        assert!(said.contains("pip: "), "{said}");
        assert!(said.contains("PIP_INDEX_URL"), "{said}");
    }
}
