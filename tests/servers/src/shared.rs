//! What a bare `cargo test` uses: one server of a kind for all its processes, started by the first that needs it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context, Result, bail};

use crate::servers::{NEEDS, Need};

/// Returns the value of a variable by which tests find a server, such as `BRIGHTER_TEST_RABBITMQ_URL`.
///
/// Where the environment does not have it, the server is found or started. It ends after the `cargo` that runs the
/// tests, or after this process if no `cargo` started it.
///
/// # Errors
/// The server can neither be found nor started: the error says what to do.
pub fn variable(name: &str) -> Result<String> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(value) = set(name) {
        return Ok(value);
    }
    let need = NEEDS.iter().find(|need| need.variables.contains(&name));
    let need = need.with_context(|| format!("no server is found by the variable {name}"))?;
    if let Some(other) = need.variables.iter().find(|other| set(other).is_some()) {
        bail!("{name} is not set, but {other} is: set both, or neither for a private server");
    }
    let variables = for_all(&target().join("test-servers"), need, run())?;
    let value = variables
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value
        .map(str::to_owned)
        .with_context(|| format!("{} was started without a {name}", need.name))
}

/// Returns the variables, one a line, of the server that was started for the run, or starts it.
fn for_all(folder: &Path, need: &Need, run: u32) -> Result<String> {
    fs::create_dir_all(folder).context("could not make a folder for test servers")?;
    // Others wait here until the first is done.
    let lock = File::create(folder.join(format!("{}.lock", need.name))).context("could not make a lock")?;
    lock.lock().context("could not lock a file")?;
    let note = folder.join(format!("{run}-{}", need.name));
    if let Ok(variables) = fs::read_to_string(&note) {
        return Ok(variables);
    }
    let running = (need.start)()?;
    let lines = running
        .variables()
        .into_iter()
        .map(|(name, value)| format!("{name}={value}\n"));
    let variables: String = lines.collect();
    if let Some(lifeline) = running.into_lifeline() {
        lifeline.outlive(run, &note)?;
        fs::write(&note, &variables).context("could not write down a test server")?;
    }
    Ok(variables)
}

/// Returns the process that stands for the whole run: the `cargo test` above this process, if there is one.
fn run() -> u32 {
    match std::env::var_os("CARGO") {
        Some(_) => std::os::unix::process::parent_id(),
        None => process::id(),
    }
}

/// Returns where this workspace keeps what it builds.
pub(crate) fn target() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"))
}
