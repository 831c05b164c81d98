//! `cargo xtask mutants`: small changes to the code that matters most, each of which some test has to notice.
//!
//! Which code and which tests says `.cargo/mutants.toml`; what survives, and why, `docs/mutants.md`.

use std::path::Path;
use std::process::Command;

use crate::error::Result;
use crate::{Call, shell};

const VERSION: &str = "27.1.0";
/// Where the tool is put, once.
const HOME: &str = "target/mutants-tool";
/// Where it writes what came of it.
const OUTPUT: &str = "target/mutants";

/// Has the tool, and runs it: over the files that are named, or all; over one part of several, if so said.
pub(crate) fn run(call: &Call) -> Result {
    let tool = Path::new(HOME).join("bin/cargo-mutants");
    if !tool.is_file() {
        let mut install = shell::cargo();
        install
            .args(["install", "cargo-mutants", "--locked", "--version", VERSION])
            .args(["--root", HOME]);
        shell::run(&mut install, &call.stop)?;
    }
    shell::run(&mut command(&tool, &call.args), &call.stop)
}

fn command(tool: &Path, args: &[String]) -> Command {
    let mut mutants = Command::new(tool);
    mutants.args(["mutants", "--jobs", "1", "--output", OUTPUT]);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--shard" {
            mutants.arg(arg).args(args.next());
        } else {
            // The name of a mutant begins with its file; `--file` would only add to what the settings name.
            mutants.arg("--re").arg(arg.replace('.', r"\."));
        }
    }
    mutants
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_a_shard_are_given_on() {
        let args = ["pump.rs", "--shard", "1/8"].map(str::to_owned);
        let shown = shell::shown(&command(Path::new("cargo-mutants"), &args));
        assert!(shown.ends_with(r"--re pump\.rs --shard 1/8"), "{shown}");
    }
}
