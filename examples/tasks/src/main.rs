//! The command line of the Tasks example: `tasks` alone is the demo; `tasks --help` says the rest.

mod broker;
mod cli;
mod commands;
mod demo;
mod failure;
mod log;
mod settings;

use std::process::ExitCode;

use brighter::config::Config;
use clap::Parser;

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
    let Cli { general, command } = cli;
    match command {
        None => demo::run().await,
        Some(Command::Api(options)) => match begin(&general, settings::of_api(&general, &options)?)? {
            Some(config) => commands::api(options, config).await,
            None => Ok(()),
        },
        Some(Command::Worker(options)) => match begin(&general, settings::of_worker(&general, &options)?)? {
            Some(config) => commands::worker(options, config).await,
            None => Ok(()),
        },
        Some(Command::Send(options)) => match begin(&general, settings::of_send(&general, &options)?)? {
            Some(config) => commands::send(options, config).await,
            None => Ok(()),
        },
    }
}

/// Begins to log; or shows the settings, and there is nothing to do.
fn begin(general: &cli::General, config: Config) -> Result<Option<Config>, Failure> {
    if general.print_config {
        commands::say(format_args!("{config}"))?;
        return Ok(None);
    }
    log::begin(config.text(settings::SECTION, "log").unwrap_or_default());
    Ok(Some(config))
}
