//! `cargo xtask mutants`: small changes to the code that matters most. Some test has to notice each of them.
//!
//! Which code and which tests says `.cargo/mutants.toml`; what survives, and why, `docs/mutants.md`.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::stop::Stop;
use crate::{shell, tools};

const TOOL: &str = "cargo-mutants@27.1.0";

/// Runs the tool over the files that are named, or all; over one part of several, if there is a shard.
pub(crate) fn run(files: &[String], shard: Option<&str>, stop: &Stop) -> Result<()> {
    shell::run(&mut command(&tools::install(TOOL, stop)?, files, shard), stop)
}

fn command(tool: &Path, files: &[String], shard: Option<&str>) -> Command {
    let mut mutants = Command::new(tool);
    mutants.args(["mutants", "--jobs", "1", "--output", "target/mutants"]);
    for file in files {
        // The name of a mutant begins with its file; `--file` would only add to what the settings name.
        mutants.arg("--re").arg(file.replace('.', r"\."));
    }
    mutants.args(shard.iter().flat_map(|shard| ["--shard", shard]));
    mutants
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_a_shard_are_given_on() {
        let command = command(Path::new("cargo-mutants"), &["pump.rs".to_owned()], Some("1/8"));
        let shown = shell::shown(&command);
        assert!(shown.ends_with(r"--re pump\.rs --shard 1/8"), "{shown}");
    }
}
