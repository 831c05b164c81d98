//! `cargo xtask lint`: every check that needs no server and no network.

use std::fs;
use std::process::Command;

use crate::error::{Doing, Error, Result, failed};
use crate::{Call, file_size, floors, shell};

/// Where the features of brighter are.
const MANIFEST: &str = "brighter/Cargo.toml";

/// A check and the words by which the summary names it.
type Check = (&'static str, fn(&Call) -> Result);

const CHECKS: &[Check] = &[
    ("formatting", |call| {
        component("fmt", "rustfmt")?;
        shell::run(shell::cargo().args(["fmt", "--all", "--check"]), &call.stop)
    }),
    ("clippy", |call| {
        clippy(call, &["--workspace", "--all-targets", "--all-features"])
    }),
    // Alone, so that no other crate of the workspace turns a feature on.
    ("clippy, brighter as it comes", |call| {
        clippy(call, &["--package", "brighter"])
    }),
    ("clippy, brighter without features", |call| {
        clippy(call, &["--package", "brighter", "--no-default-features"])
    }),
    ("each feature alone", |call| {
        let manifest = fs::read_to_string(MANIFEST).doing(format_args!("read {MANIFEST}"))?;
        for feature in features(&manifest) {
            let check = &mut shell::locked("check");
            check.args(["--quiet", "--package", "brighter", "--no-default-features"]);
            shell::run(check.args(["--features", feature]), &call.stop)?;
        }
        Ok(())
    }),
    ("documentation", |call| {
        let doc = &mut shell::locked("doc");
        doc.args(["--workspace", "--no-deps", "--all-features"])
            .env("RUSTDOCFLAGS", "-D warnings");
        shell::run(doc, &call.stop)
    }),
    ("floors", |_| floors::check()),
    ("file sizes", |_| file_size::check()),
];

/// Runs every check and tells all failures at the end, so that one run shows all there is to mend.
pub(crate) fn run(call: &Call) -> Result {
    if let Some(arg) = call.args.first() {
        return Err(Error::Usage(format!(
            "`lint` takes no arguments, but was given `{arg}`"
        )));
    }
    let mut broken = Vec::new();
    for (name, check) in CHECKS {
        match check(call) {
            Ok(()) => {}
            Err(Error::Stopped) => return Err(Error::Stopped),
            Err(error) => broken.push(format!("{name}: {error}")),
        }
    }
    if broken.is_empty() {
        eprintln!("lint: all {} checks are good", CHECKS.len());
        return Ok(());
    }
    Err(failed(format_args!(
        "lint: {} of {} checks failed\n\n{}",
        broken.len(),
        CHECKS.len(),
        broken.join("\n\n")
    )))
}

/// The features that a manifest names. Those that are checked in any case are not among them: `default`, and
/// `macros`, which is all of it, and those that begin with `_`, which are parts of others.
fn features(manifest: &str) -> impl Iterator<Item = &str> {
    manifest
        .lines()
        .skip_while(|line| *line != "[features]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once(" = ["))
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with(['#', '_']) && !["default", "macros"].contains(name))
}

fn clippy(call: &Call, what: &[&str]) -> Result {
    component("clippy", "clippy")?;
    shell::run(
        shell::locked("clippy").args(what).args(["--", "-D", "warnings"]),
        &call.stop,
    )
}

/// Cargo's own words for a missing subcommand do not say how to get it.
fn component(subcommand: &str, component: &str) -> Result {
    let mut version: Command = shell::cargo();
    shell::read(version.args([subcommand, "--version"]))
        .map(drop)
        .map_err(|_| {
            failed(format_args!(
                "{component} is not installed: `rustup component add {component}`"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::features;

    #[test]
    fn features_are_found_and_nothing_else() {
        let manifest = "[package]\nkeywords = [\"a\"]\n\n[features]\ndefault = [\"macros\"]\n# Why = [so].\n\
            macros = [\"dep:m\"]\n_part = []\none = []\ntwo = [\n  \"one\",\n]\n\n[dependencies]\nthree = [\"x\"]\n";
        assert_eq!(features(manifest).collect::<Vec<_>>(), ["one", "two"]);
    }
}
