//! The command line of the Tasks example: `tasks` alone is the demo; `tasks --help` says the rest.

mod broker;
mod cli;
mod commands;
mod demo;
mod failure;
mod log;
mod metrics;
mod settings;
mod spans;

use std::process::ExitCode;

use brighter::config::Config;
use clap::Parser;

use crate::cli::{Cli, Command};
use crate::failure::Failure;
use crate::spans::Spans;

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
        Some(Command::Api(options)) => {
            let config = settings::of_api(&general, &options)?;
            match begin(&general, config, "api")? {
                Some((config, _spans)) => commands::api(options, config).await,
                None => Ok(()),
            }
        }
        Some(Command::Worker(options)) => {
            let config = settings::of_worker(&general, &options)?;
            match begin(&general, config, "worker")? {
                Some((config, _spans)) => commands::worker(options, config).await,
                None => Ok(()),
            }
        }
        Some(Command::Send(options)) => {
            let config = settings::of_send(&general, &options)?;
            match begin(&general, config, "send")? {
                Some((config, _spans)) => commands::send(options, config).await,
                None => Ok(()),
            }
        }
    }
}

/// Begins to log and to trace; or shows the settings, and there is nothing to do.
fn begin(general: &cli::General, config: Config, role: &str) -> Result<Option<(Config, Spans)>, Failure> {
    if general.print_config {
        commands::say(format_args!("{config}"))?;
        return Ok(None);
    }
    let spans = Spans::begin(&config, role)?;
    log::begin(config.text(settings::SECTION, "log").unwrap_or_default(), &spans);
    Ok(Some((config, spans)))
}
