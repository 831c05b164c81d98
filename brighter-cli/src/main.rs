//! The command `brighter`: dead letters and the outbox from the command line, and the tables of the stores as SQL.

mod args;
mod ddl;
mod dead;
mod outbox;
mod outcome;
mod status;
mod stores;
mod times;
mod view;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use args::{CliCommand, CommandLine};
use outcome::{CliError, CommandResult};
use view::View;

fn main() -> ExitCode {
    let command = match CommandLine::try_parse() {
        Ok(command) => command,
        Err(error) => {
            // Help and version come this way too. A terminal that is gone needs no text.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let json = command.json;
    match run(command) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(outcome)) => print(&outcome, json).unwrap_or_else(|error| closed(&error)),
        Err(error) => {
            let text = match json {
                true => view::clean_json(&error.json().to_string()),
                false => View::line(format!("brighter: {}", error.text())).render(false),
            };
            // There is nobody left to tell if this fails.
            let _ = std::io::stderr().write_all(text.as_bytes());
            error.code()
        }
    }
}

/// Returns the exit code of a command whose result could not be written.
fn closed(error: &std::io::Error) -> ExitCode {
    match error.kind() {
        // As with `| head`: the reader has what it wants.
        std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        _ => ExitCode::from(1),
    }
}

fn print(outcome: &CommandResult, json: bool) -> std::io::Result<ExitCode> {
    if outcome.aside {
        let colour = view::is_coloured(std::io::stderr().is_terminal());
        std::io::stderr().write_all(outcome.view.render(colour).as_bytes())?;
        return Ok(outcome.done.code());
    }
    let colour = view::is_coloured(std::io::stdout().is_terminal());
    let text = match json {
        true => view::clean_json(&outcome.json.to_string()),
        false => outcome.view.render(colour),
    };
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(outcome.done.code())
}

fn run(line: CommandLine) -> Result<Option<CommandResult>, CliError> {
    match line.command {
        CliCommand::Ddl { args } => {
            let text = ddl::run(args.into_iter());
            let text = text.map_err(|error| CliError::refused(format!("{error}\n\n{}", ddl::USAGE)))?;
            std::io::stdout().write_all(text.as_bytes())?;
            Ok(None)
        }
        CliCommand::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut CommandLine::command(),
                "brighter",
                &mut std::io::stdout(),
            );
            Ok(None)
        }
        CliCommand::Man => {
            clap_mangen::Man::new(CommandLine::command()).render(&mut std::io::stdout())?;
            Ok(None)
        }
        command => serve(line.json, &line.database, command),
    }
}

/// Runs a command that needs a database.
fn serve(
    json: bool,
    database: &stores::DatabaseArgs,
    command: CliCommand,
) -> Result<Option<CommandResult>, CliError> {
    // Clients of brokers and databases write whole messages and statements to the log.
    let ours = tracing_subscriber::filter::Targets::new()
        .with_target("brighter", tracing_subscriber::filter::LevelFilter::WARN);
    let to_stderr = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false);
    tracing_subscriber::registry()
        .with(to_stderr.with_filter(ours))
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        match command {
            CliCommand::Dead { command } => dead::run(database, command).await.map(Some),
            CliCommand::Outbox { command } => outbox::run(database, command).await.map(Some),
            CliCommand::Status(args) => status::run(database, args, json).await.map(Some),
            CliCommand::Ddl { .. } | CliCommand::Completions { .. } | CliCommand::Man => Ok(None),
        }
    });
    // A thread that still waits for a server must not keep the command from its end.
    runtime.shutdown_background();
    done
}
