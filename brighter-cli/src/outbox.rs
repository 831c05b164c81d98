//! `brighter outbox`: what waits to be published, what is dead, and what was published already.

use std::time::SystemTime;

use brighter::MessageId;
use brighter::outbox::{Outbox, OutboxStatus, Selection};
use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Value, json};

use crate::outcome::{CliError, CommandResult, Done};
use crate::stores::DatabaseArgs;
use crate::times::{read_time, span};
use crate::view::View;

/// How many dead messages are revived at once.
const TOGETHER: usize = 500;

/// The commands for the outbox.
#[derive(Debug, Subcommand)]
pub(crate) enum OutboxCommand {
    /// Count the messages in each state
    Status,
    /// List dead messages, the oldest first: publishing them has failed too often
    Dead(LimitArgs),
    /// Try dead messages again
    Revive(ReviveArgs),
    /// Send messages again that the broker has had already
    Resend(ResendArgs),
    /// List messages that are sent later, the first to become due first
    Scheduled(LimitArgs),
    /// Remove a message that was to be sent later
    Cancel(CancelArgs),
}

/// How many to list.
#[derive(Debug, Args)]
pub(crate) struct LimitArgs {
    /// The largest number of messages
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
}

/// Which dead messages to revive.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).args(["ids", "all"])))]
pub(crate) struct ReviveArgs {
    /// The ids of the messages, as `dead` shows them
    ids: Vec<String>,
    /// Revive all dead messages, up to the limit
    #[arg(long)]
    all: bool,
    /// The largest number of messages with --all; the oldest are chosen
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: u32,
    /// Count them, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Which messages to send again.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).multiple(true).args(["topic", "since", "before"])))]
pub(crate) struct ResendArgs {
    /// Only those of this topic
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Only those deposited at this time or later, such as 2026-09-30T12:00:00Z, or 2h for two hours ago
    #[arg(long, value_name = "TIME", value_parser = read_time)]
    since: Option<SystemTime>,
    /// Only those deposited before this time
    #[arg(long, value_name = "TIME", value_parser = read_time)]
    before: Option<SystemTime>,
    /// The largest number of messages; the oldest are chosen
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: u32,
    /// Send them: their receivers get them twice, so without this nothing is sent
    #[arg(long)]
    yes: bool,
}

/// Which message to remove.
#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The id of the message, as `scheduled` shows it
    id: String,
    /// Remove it: without this nothing is removed
    #[arg(long)]
    yes: bool,
}

/// Does what was asked for with the outbox.
pub(crate) async fn run(database: &DatabaseArgs, command: OutboxCommand) -> Result<CommandResult, CliError> {
    match &command {
        OutboxCommand::Resend(args) if !args.yes => {
            return Err(CliError::refused(
                "resend publishes messages that were published already, and their receivers get them again: add --yes \
                 to do it",
            ));
        }
        OutboxCommand::Cancel(args) if !args.yes => {
            return Err(CliError::refused(
                "cancel removes a message that was to be sent: add --yes to do it",
            ));
        }
        _ => {}
    }
    let outbox = database.outbox().await?;
    let outbox = &*outbox;
    match command {
        OutboxCommand::Status => {
            let status = outbox.status().await?;
            let mut view = View::default();
            status_view(&mut view, &status);
            Ok(CommandResult::new(
                view,
                json!({ "outbox": status_json(&status) }),
            ))
        }
        OutboxCommand::Dead(args) => dead(outbox, args.limit as usize).await,
        OutboxCommand::Revive(args) => revive(outbox, &args).await,
        OutboxCommand::Resend(args) => resend(outbox, args).await,
        OutboxCommand::Scheduled(args) => scheduled(outbox, args.limit as usize).await,
        OutboxCommand::Cancel(args) => cancel(outbox, &args).await,
    }
}

/// Adds the state of an outbox to a text.
pub(crate) fn status_view(view: &mut View, status: &OutboxStatus) {
    let oldest = status
        .oldest
        .map_or(String::new(), |age| format!(" (the oldest {} ago)", span(age)));
    view.field("outstanding", format!("{}{oldest}", status.outstanding));
    let overdue = status
        .overdue
        .map_or(String::new(), |age| format!(" (overdue for {})", span(age)));
    view.field("scheduled", format!("{}{overdue}", status.scheduled));
    view.field("dead", status.dead.to_string());
}

/// Returns the state of an outbox for a program.
pub(crate) fn status_json(status: &OutboxStatus) -> Value {
    json!({
        "outstanding": status.outstanding,
        "oldest_seconds": status.oldest.map(|age| age.as_secs()),
        "dead": status.dead,
        "scheduled": status.scheduled,
        "overdue_seconds": status.overdue.map(|age| age.as_secs()),
    })
}

fn cannot(what: &str) -> CliError {
    CliError::failed(format!("this outbox cannot {what}"))
}

async fn dead(outbox: &dyn Outbox, limit: usize) -> Result<CommandResult, CliError> {
    let port = outbox
        .dead_messages()
        .ok_or_else(|| cannot("list dead messages"))?;
    let dead = port.dead(limit).await?;
    let json = dead.iter().map(|message| {
        json!({
            "id": message.id.to_string(),
            "topic": message.topic.as_str(),
            "attempts": message.attempts,
            "error": message.last_error,
        })
    });
    let json = json!({ "dead": json.collect::<Vec<_>>() });
    if dead.is_empty() {
        return Ok(CommandResult::new(
            View::line("No message of the outbox is dead."),
            json,
        ));
    }
    let mut view = View::default();
    let rows = dead.iter().map(|message| {
        vec![
            message.id.to_string(),
            message.topic.as_str().to_owned(),
            message.attempts.to_string(),
            message.last_error.clone(),
        ]
    });
    view.table(&["ID", "TOPIC", "ATTEMPTS", "ERROR"], rows.collect());
    Ok(CommandResult::new(view, json))
}

async fn revive(outbox: &dyn Outbox, args: &ReviveArgs) -> Result<CommandResult, CliError> {
    let port = outbox.dead_messages().ok_or_else(|| cannot("revive messages"))?;
    let dead = port.dead(if args.all {
        args.limit as usize
    } else {
        usize::MAX >> 1
    });
    let ids: Vec<MessageId> = match (args.all, args.dry_run) {
        (false, false) => args.ids.iter().map(|id| id.as_str().into()).collect(),
        _ => {
            let ids = dead.await?.into_iter().map(|message| message.id);
            let asked = |id: &MessageId| args.all || args.ids.iter().any(|asked| *asked == id.to_string());
            ids.filter(asked).collect()
        }
    };
    let asked = if args.all {
        ids.len() as u64
    } else {
        args.ids.len() as u64
    };
    let mut revived = 0;
    if !args.dry_run {
        for some in ids.chunks(TOGETHER) {
            revived += port.revive(some).await?;
        }
    }
    let view = match args.dry_run {
        true => View::line(format!(
            "{} of {asked} would be revived. Nothing was changed.",
            ids.len()
        )),
        false => View::line(format!("{revived} of {asked} revived.")),
    };
    let json = json!({
        "revived": { "dry_run": args.dry_run, "asked": asked, "dead": ids.len(), "messages": revived }
    });
    let mut outcome = CommandResult::new(view, json);
    if !args.dry_run && revived < asked {
        outcome.done = if revived == 0 { Done::Failed } else { Done::Partly };
    }
    Ok(outcome)
}

async fn resend(outbox: &dyn Outbox, args: ResendArgs) -> Result<CommandResult, CliError> {
    let port = outbox.resending().ok_or_else(|| cannot("send messages again"))?;
    let mut which = Selection::all().limit(args.limit as usize);
    which = match args.topic {
        Some(topic) => which.topic(topic),
        None => which,
    };
    which.since = args.since;
    which.before = args.before;
    let messages = port.send_again(&which).await?;
    let mut view = View::line(format!(
        "{messages} to send again. A sweeper of the application sends them."
    ));
    if messages == u64::from(args.limit) {
        view.plain("There may be more: the limit was reached.");
    }
    Ok(CommandResult::new(
        view,
        json!({ "resent": { "messages": messages, "limit": args.limit } }),
    ))
}

async fn scheduled(outbox: &dyn Outbox, limit: usize) -> Result<CommandResult, CliError> {
    let port = outbox
        .scheduling()
        .ok_or_else(|| cannot("list scheduled messages"))?;
    let scheduled = port.scheduled(limit).await?;
    let json = scheduled.iter().map(|message| {
        json!({
            "id": message.id.to_string(),
            "topic": message.topic.as_str(),
            "due_in_seconds": message.due_in.as_secs(),
        })
    });
    let json = json!({ "scheduled": json.collect::<Vec<_>>() });
    if scheduled.is_empty() {
        return Ok(CommandResult::new(View::line("No message is scheduled."), json));
    }
    let mut view = View::default();
    let rows = scheduled.iter().map(|message| {
        let due = format!("in {}", span(message.due_in));
        vec![message.id.to_string(), due, message.topic.as_str().to_owned()]
    });
    view.table(&["ID", "DUE", "TOPIC"], rows.collect());
    Ok(CommandResult::new(view, json))
}

async fn cancel(outbox: &dyn Outbox, args: &CancelArgs) -> Result<CommandResult, CliError> {
    let port = outbox
        .scheduling()
        .ok_or_else(|| cannot("remove scheduled messages"))?;
    let removed = port.cancel(&args.id.as_str().into()).await?;
    if !removed {
        return Err(CliError::failed(format!(
            "message `{}` is not scheduled: it is unknown, or was sent already",
            args.id
        )));
    }
    let view = View::line(format!("Message {} is removed.", args.id));
    Ok(CommandResult::new(
        view,
        json!({ "cancelled": { "id": args.id } }),
    ))
}
