//! Running other programs.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

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

/// Returns a command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy);
    words.collect::<Vec<_>>().join(" ")
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

/// Runs a command without its output, and returns what it wrote to stdout. An error has what it wrote to stderr, or
/// else to stdout.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let line = shown(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("could not run `{line}`"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let said = Some(text(&output.stderr)).filter(|said| !said.is_empty());
    bail!(
        "`{line}` failed ({}): {}",
        output.status,
        said.unwrap_or_else(|| text(&output.stdout))
    )
}

/// Returns where cargo builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from)
}

/// Returns a program that was built in release.
pub(crate) fn released(target: &Path, name: &str) -> PathBuf {
    target.join("release").join(name)
}
