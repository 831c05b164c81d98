//! The chores of this repository. `cargo xtask` lists them; a person and CI run the same ones.

mod bench;
mod circles;
mod deny;
mod error;
mod faults;
mod file_size;
mod floors;
mod help;
mod instructions;
mod lint;
mod mutants;
mod protections;
mod services;
mod shell;
mod stop;
mod test;

use std::path::Path;
use std::process::ExitCode;

use error::{Doing, Result};
use stop::Stop;

/// What a command is given: the arguments after its name, and the signal flag.
pub(crate) struct Call {
    args: Vec<String>,
    stop: Stop,
}

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            error.exit_code()
        }
    }
}

fn run(mut args: Vec<String>) -> Result {
    if args.is_empty() || ["help", "-h", "--help"].contains(&args[0].as_str()) {
        print!("{}", help::text());
        return Ok(());
    }
    let command = help::find(&args.remove(0))?;
    if args.first().is_some_and(|arg| arg == "-h" || arg == "--help") {
        println!("cargo xtask {}\n    {}", command.usage, command.summary);
        return Ok(());
    }
    // Every command works from the root of the repository, wherever it was called.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .doing("find")?;
    std::env::set_current_dir(root).doing("go to the root of the repository")?;
    (command.run)(&Call {
        args,
        stop: Stop::listen()?,
    })
}
