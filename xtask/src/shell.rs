//! Running other programs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::error::{Doing, Result, failed};
use crate::stop::Stop;

/// The cargo that runs this xtask, so that nested builds use the same toolchain.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A cargo command that builds: in CI it fails, rather than change the lock file.
pub(crate) fn locked(subcommand: &str) -> Command {
    let mut command = cargo();
    command.arg(subcommand);
    if std::env::var_os("CI").is_some_and(|ci| ci == "true") {
        command.arg("--locked");
    }
    command
}

/// A command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    std::iter::once(name)
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Prints a command and runs it to its end, with our output and no input. An error if it fails; if a signal
/// comes, it and all that it started are ended first.
pub(crate) fn run(command: &mut Command, stop: &Stop) -> Result {
    let line = shown(command);
    eprintln!("$ {line}");
    let status = status(command.stdin(Stdio::null()), stop)?;
    if status.success() {
        Ok(())
    } else {
        Err(failed(format_args!("`{line}` failed ({status})")))
    }
}

/// Runs a command without its output and gives what it wrote to stdout; an error names what it wrote to stderr,
/// or else to stdout.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let line = shown(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .doing(format_args!("run `{line}`"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        // Some tell their mistakes where others tell their results.
        let said = match String::from_utf8_lossy(&output.stderr).trim() {
            "" => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            said => said.to_owned(),
        };
        Err(failed(format_args!(
            "`{line}` failed ({}): {said}",
            output.status
        )))
    }
}

/// Puts a command in a process group of its own, so that [`signal_group`] reaches its children too and a ctrl-c
/// at the terminal reaches us alone.
pub(crate) fn own_group(command: &mut Command) -> &mut Command {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    command
}

/// Sends a signal to the process group that a child of [`own_group`] leads.
pub(crate) fn signal_group(child: &mut Child, signal: &str) {
    // The shell's own `kill`: the program of that name is not on every machine.
    let kill = format!("kill -{signal} -{}", child.id());
    let sent = Command::new("sh")
        .args(["-c", &kill])
        .stderr(Stdio::null())
        .status();
    if !sent.is_ok_and(|status| status.success()) {
        let _ = child.kill();
    }
}

fn status(command: &mut Command, stop: &Stop) -> Result<ExitStatus> {
    let line = shown(command);
    let mut child = own_group(command).spawn().doing(format_args!("run `{line}`"))?;
    loop {
        if let Some(status) = child.try_wait().doing(format_args!("wait for `{line}`"))? {
            return Ok(status);
        }
        if let Err(stopped) = stop.tick() {
            signal_group(&mut child, "TERM");
            let _ = child.wait();
            return Err(stopped);
        }
    }
}

/// Lets everyone run a script.
pub(crate) fn make_executable(script: &Path) -> Result {
    #[cfg(unix)]
    {
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(script, permissions)
            .doing(format_args!("make {} executable", script.display()))?;
    }
    Ok(())
}

/// The first of these folders, then of `PATH`, that has the program.
pub(crate) fn find(program: &str, folders: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders
        .iter()
        .map(PathBuf::from)
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
