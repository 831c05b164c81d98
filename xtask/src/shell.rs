//! Running other programs.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

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
    let mut child = begin(command)?;
    match wait(&mut child, &line, stop)? {
        status if status.success() => Ok(()),
        status => bail!("`{line}` failed ({status})"),
    }
}

/// Runs a command in the same way, and returns whether it succeeded and the lines that it printed.
pub(crate) fn run_noting(command: &mut Command, stop: &Stop) -> Result<(bool, Vec<String>)> {
    let line = shown(command);
    let mut child = begin(command.stdout(Stdio::piped()))?;
    let output = child.stdout.take().context("a command has no output")?;
    let reading = std::thread::spawn(move || {
        let lines = BufReader::new(output).split(b'\n').map_while(Result::ok);
        let lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
        lines.inspect(|line| println!("{line}")).collect()
    });
    let status = wait(&mut child, &line, stop)?;
    let lines = reading
        .join()
        .ok()
        .context("reading what a command printed panicked")?;
    Ok((status.success(), lines))
}

/// Runs a command in the same way, with its output in a file, and returns whether it succeeded.
pub(crate) fn run_logged(command: &mut Command, log: &Path, stop: &Stop) -> Result<bool> {
    let line = shown(command);
    let written = || format!("could not write {}", log.display());
    let output = File::create(log).with_context(written)?;
    let errors = output.try_clone().with_context(written)?;
    let mut child = begin(command.stdout(output).stderr(errors))?;
    Ok(wait(&mut child, &line, stop)?.success())
}

fn begin(command: &mut Command) -> Result<Child> {
    let line = shown(command);
    eprintln!("$ {line}");
    // A group of its own: a ctrl-c at the terminal reaches us alone, and our signal its children too.
    let child = command.stdin(Stdio::null()).process_group(0).spawn();
    child.with_context(|| format!("could not run `{line}`"))
}

fn wait(child: &mut Child, line: &str, stop: &Stop) -> Result<ExitStatus> {
    loop {
        let status = child.try_wait();
        if let Some(status) = status.with_context(|| format!("could not wait for `{line}`"))? {
            return Ok(status);
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
