//! Running other programs.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

pub(crate) use brighter_test_servers::{read, shown};

use crate::stop::Stop;

/// Returns the cargo that runs this xtask, so that nested builds use the same toolchain.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    command
}

/// Returns a cargo command that builds: in CI it fails, rather than change the lock file.
pub(crate) fn locked(arguments: &[&str]) -> Command {
    let mut command = cargo(arguments);
    if std::env::var_os("CI").is_some_and(|ci| ci == "true") {
        command.arg("--locked");
    }
    command
}

/// Returns a git command.
pub(crate) fn git(arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.args(arguments);
    command
}

/// Prints a command and runs it to its end, with our output and no input. It is an error if it fails; if a signal
/// comes, it and all that it started are ended first.
pub(crate) fn run(command: &mut Command, stop: &Stop) -> Result<()> {
    let line = shown(command);
    eprintln!("$ {line}");
    // A group of its own: a ctrl-c at the terminal reaches us alone, and our signal its children too.
    let child = command.stdin(Stdio::null()).process_group(0).spawn();
    let mut child = child.with_context(|| format!("could not run `{line}`"))?;
    loop {
        match child
            .try_wait()
            .with_context(|| format!("could not wait for `{line}`"))?
        {
            Some(status) if status.success() => return Ok(()),
            Some(status) => bail!("`{line}` failed ({status})"),
            None => {}
        }
        if let Err(stopped) = stop.tick() {
            // The shell's own `kill`: the program of that name is not on every machine.
            let kill = format!("kill -TERM -{}", child.id());
            let _ = Command::new("sh").args(["-c", &kill]).status();
            let _ = child.wait();
            return Err(stopped.into());
        }
    }
}

/// Returns where cargo builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from)
}

/// Returns a program that was built in release.
pub(crate) fn released(target: &Path, name: &str) -> PathBuf {
    target.join("release").join(name)
}
