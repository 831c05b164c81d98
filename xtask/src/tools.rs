//! Programs of others that a command installs once, under `target/tools`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::shell;
use crate::stop::Stop;

const DENY: &str = "cargo-deny@0.20.2";

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
        shell::run(
            install
                .arg(&root)
                .args(arguments)
                .env("CARGO_TARGET_DIR", "target/tools/build"),
            stop,
        )?;
    }
    Ok(program)
}

/// `cargo xtask deny`: what our dependencies may be. The advisories come over the network; without it the rest is
/// still checked.
pub(crate) fn deny(stop: &Stop) -> Result<()> {
    let deny = install(DENY, stop)?;
    let fetched = shell::read(Command::new(&deny).args(["fetch", "db"]));
    let advisories = fetched.is_ok().then_some("advisories");
    let mut check = Command::new(&deny);
    check
        .arg("check")
        .args(advisories)
        .args(["licenses", "bans", "sources"]);
    let result = shell::run(&mut check, stop);
    if advisories.is_none() {
        // At the end, where it is seen.
        eprintln!("deny: advisories were NOT checked: their database could not be fetched");
    }
    result
}
