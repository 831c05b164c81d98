//! `brighter dead`: dead letters and invalid messages at the desk.

mod bulk;
mod edit;
mod lines;
mod operations;
mod reading;
mod selection;
mod show;
mod working;

use brighter::desk::BulkVerb;
use clap::Subcommand;

use crate::outcome::{CliError, CommandResult};
use crate::stores::DatabaseArgs;

/// The commands for dead letters.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadCommand {
    /// Show the groups of messages that died alike, those with the most first
    Groups(reading::GroupsArgs),
    /// List messages, the newest first
    List(reading::ListArgs),
    /// Show one message: its header, its body, and each of its deaths
    Show(show::ShowArgs),
    /// Send messages back to the channel that rejected them
    Retry(bulk::RetryArgs),
    /// Send one message with another body; the original is kept
    Edit(edit::EditArgs),
    /// Send messages to another channel, and archive them
    Redirect(bulk::RedirectArgs),
    /// Keep messages that need no decision any more
    Archive(bulk::ArchiveArgs),
    /// Remove messages for good
    Delete(bulk::DeleteArgs),
    /// Write messages as lines of JSON
    Export(lines::ExportArgs),
    /// Take messages from lines of JSON, as an export has written them
    Import(lines::ImportArgs),
    /// Take the messages that wait in the dead-letter channels to the desk
    Take(lines::TakeArgs),
    /// List the operations on messages, the newest first, or show one
    Operations(operations::OperationsArgs),
    /// Stop an operation: the rest of its messages stays untouched
    Stop(operations::StopArgs),
    /// Continue an operation that was stopped, or whose process has died
    Continue(operations::ContinueArgs),
}

/// Does what was asked for with dead letters.
pub(crate) async fn run(database: &DatabaseArgs, command: DeadCommand) -> Result<CommandResult, CliError> {
    match command {
        DeadCommand::Groups(args) => reading::groups(&*database.desk().await?, &args).await,
        DeadCommand::List(args) => {
            let filter = args.filter()?;
            reading::list(&*database.desk().await?, &filter, &args).await
        }
        DeadCommand::Show(args) => show::show(&*database.desk().await?, &args).await,
        DeadCommand::Retry(args) => {
            bulk::run(
                database,
                args.plan(BulkVerb::Retry)?,
                &args.bulk,
                Some(&args.broker),
            )
            .await
        }
        DeadCommand::Edit(args) => edit::run(database, &args).await,
        DeadCommand::Redirect(args) => {
            bulk::run(database, args.plan()?, &args.bulk, Some(&args.broker)).await
        }
        DeadCommand::Archive(args) => {
            let plan = args.bulk.plan(BulkVerb::Archive)?;
            bulk::run(database, plan, &args.bulk, None).await
        }
        DeadCommand::Delete(args) => bulk::run(database, args.plan()?, &args.bulk, None).await,
        DeadCommand::Export(args) => {
            let filter = args.filter()?;
            lines::export(&*database.desk().await?, &filter, &args).await
        }
        DeadCommand::Import(args) => lines::import(database, &args).await,
        DeadCommand::Take(args) => lines::take(database, &args).await,
        DeadCommand::Operations(args) => operations::list(&*database.desk().await?, &args).await,
        DeadCommand::Stop(args) => operations::stop(&*database.desk().await?, &args).await,
        DeadCommand::Continue(args) => operations::continue_it(database, &args).await,
    }
}
