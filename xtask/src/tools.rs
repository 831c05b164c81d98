//! Programs of others that a command installs once, under `target/tools`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::shell;
use crate::stop::Stop;

/// Returns the program of a crate, `name@version`, and builds it if it is not there.
pub(crate) fn install(tool: &str, stop: &Stop) -> Result<PathBuf> {
    install_with(tool, &[], stop)
}

/// Returns the program of a crate in the same way, built with these arguments of `cargo install`.
pub(crate) fn install_with(tool: &str, arguments: &[&str], stop: &Stop) -> Result<PathBuf> {
    let (name, _) = tool.split_once('@').unwrap_or((tool, ""));
    // A folder for each version, so that a new one is not taken for the old.
    let root = Path::new("target/tools").join(tool);
    let program = root.join("bin").join(name);
    if !program.is_file() {
        eprintln!(
            "{name} is not installed; building it into {}, once",
            root.display()
        );
        // It is no part of what a caller builds, and has a folder of its own.
        let install = &mut shell::cargo(&["install", "--locked", tool, "--root"]);
        let built = shell::run(
            install
                .arg(&root)
                .args(arguments)
                .env("CARGO_TARGET_DIR", "target/tools/build"),
            stop,
        );
        built.with_context(|| format!("{name} could not be installed, which needs the network once"))?;
    }
    Ok(program)
}
