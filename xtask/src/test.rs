//! `cargo xtask test`: the whole test run, with real servers behind it.

use std::process::Command;

use crate::error::{Error, Result, failed};
use crate::{Call, services, shell};

/// By this variable the tests are told how many of them run side by side.
const THREADS: &str = "RUST_TEST_THREADS";

/// Twice as many as there are cores: most wait for a server for most of their time.
fn threads() -> usize {
    2 * std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Compiles the tests, starts the services, runs the tests, and takes the services down again.
pub(crate) fn run(call: &Call) -> Result {
    let args = call.args.strip_prefix(&["--".to_owned()]).unwrap_or(&call.args);
    let (for_cargo, for_tests) = match args.iter().position(|arg| arg == "--") {
        Some(at) => args.split_at(at),
        None => (args, &[][..]),
    };

    // Compiled first, so that a mistake in the code is not told after half a minute of starting servers.
    // Cargo cannot build doctests ahead of time, and refuses the two flags together.
    if !for_cargo.iter().any(|arg| arg == "--doc") {
        shell::run(cargo_test(for_cargo).arg("--no-run"), &call.stop)?;
    }

    let services = services::start(&call.stop)?;
    services.report()?;
    let mut test = cargo_test(for_cargo);
    test.args(for_tests);
    if std::env::var_os(THREADS).is_none() {
        test.env(THREADS, threads().to_string());
    }
    let result = shell::run(services.apply(&mut test), &call.stop);
    // Again at the end: a server that died under the tests is the reason for their failures.
    match (result, services.report()) {
        (Err(Error::Failed(tests)), Err(Error::Failed(server))) => {
            Err(failed(format_args!("{tests}\n{server}")))
        }
        (result, report) => result.and(report),
    }
}

fn cargo_test(args: &[String]) -> Command {
    let mut command = shell::locked("test");
    // A person who names packages means those alone.
    if !args
        .iter()
        .any(|arg| arg.starts_with("-p") || arg.starts_with("--package"))
    {
        command.arg("--workspace");
    }
    command.arg("--all-features").args(args);
    command
}
