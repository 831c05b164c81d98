//! `cargo xtask test`: the whole test run, with real servers behind it.

use std::process::Command;

use anyhow::{Result, anyhow};
use brighter_test_servers::Servers;

use crate::shell;
use crate::stop::{Stop, Stopped};

/// By this variable the tests are told how many of them run side by side.
const THREADS: &str = "RUST_TEST_THREADS";

/// The sets of serde_json's features that numbers are tested with, beside those of brighter itself.
const FEATURES_OF_JSON: [&str; 4] = [
    "",
    "arbitrary_precision",
    "preserve_order,raw_value",
    "arbitrary_precision,preserve_order,raw_value,unbounded_depth",
];

/// Compiles the tests, starts the servers, runs the tests, and takes the servers down again.
pub(crate) fn run(args: &[String], stop: &Stop) -> Result<()> {
    let (for_cargo, for_tests) = args.split_at(args.iter().position(|arg| arg == "--").unwrap_or(args.len()));
    // Compiled first, so that a mistake in the code is not told after half a minute of starting servers.
    // Cargo cannot build doctests ahead of time, and refuses the two flags together.
    if !for_cargo.iter().any(|arg| arg == "--doc") {
        shell::run(cargo_test(for_cargo).arg("--no-run"), stop)?;
    }
    let servers = Servers::start(&[])?;
    servers.report()?;
    let mut test = cargo_test(for_cargo);
    test.args(for_tests);
    if std::env::var_os(THREADS).is_none() {
        // Twice as many as there are cores: most wait for a server for most of their time.
        let threads = 2 * std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        test.env(THREADS, threads.to_string());
    }
    let tested = shell::run(servers.apply(&mut test), stop).and_then(|()| {
        // A person who names tests means those alone.
        if args.is_empty() {
            features_of_json(&servers, stop)
        } else {
            Ok(())
        }
    });
    match tested {
        Err(stopped) if stopped.is::<Stopped>() => Err(stopped),
        // Asked again at the end: a server that died under the tests is the reason for their failures.
        result => match (result, servers.report()) {
            (Err(tests), Err(server)) => Err(anyhow!("{tests:#}\n{server:#}")),
            (result, report) => result.and(report),
        },
    }
}

/// Whether numbers arrive as they were under each set of serde_json's features, which any crate may switch on for all that
/// is built beside it. They share what does not depend on serde_json.
fn features_of_json(servers: &Servers, stop: &Stop) -> Result<()> {
    let target = shell::target().join("numbers");
    for features in FEATURES_OF_JSON {
        eprintln!("numbers, with serde_json's features: {features:?}");
        let mut test = shell::locked(&["test", "--manifest-path", "tests/numbers/Cargo.toml"]);
        test.arg("--target-dir")
            .arg(&target)
            .args(["--features", features]);
        test.args(["--", "--nocapture"]);
        shell::run(servers.apply(&mut test), stop)?;
    }
    Ok(())
}

/// Returns whether the arguments name packages: then only those are tested.
fn names_packages(args: &[String]) -> bool {
    args.iter()
        .any(|arg| arg.starts_with("-p") || arg.starts_with("--package"))
}

fn cargo_test(args: &[String]) -> Command {
    let mut command = shell::locked(&["test"]);
    if !names_packages(args) {
        command.arg("--workspace");
    }
    command.arg("--all-features").args(args);
    command
}
