//! The command line of the Tasks example: `tasks` alone is the demo; `tasks --help` says the rest.

mod broker;
mod cli;
mod commands;
mod demo;
mod failure;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => match runtime.block_on(run(cli)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.report(),
        },
        Err(error) => Failure::because("tokio did not start", &error).report(),
    }
}

async fn run(cli: Cli) -> Result<(), Failure> {
    match cli.command {
        None => demo::run().await,
        Some(command) => {
            // Standard output is for what other programs read.
            tracing_subscriber::fmt()
                .with_env_filter(filter())
                .with_writer(std::io::stderr)
                .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
                .init();
            match command {
                Command::Api(options) => commands::api(options).await,
                Command::Worker(options) => commands::worker(options).await,
                Command::Send(options) => commands::send(options).await,
            }
        }
    }
}

/// `RUST_LOG`, or `info` without lapin: what it has to say brighter says too, and it writes whole messages to
/// the log, with all that is in them.
fn filter() -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,lapin=off"))
}
