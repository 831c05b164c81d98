//! `retry`, `redirect`, `archive` and `delete`: one verb on the messages of a frozen list.

use std::time::Duration;

use brighter::desk::{BulkVerb, DeskFilter, NewBulk};
use clap::Args;
use serde_json::json;

use super::selection::{SelectionArgs, who};
use super::working::{OperationRun, outcome};
use crate::outcome::{CliError, CommandResult};
use crate::stores::{BrokerArgs, DatabaseArgs};
use crate::times::{read_rate, read_span};
use crate::view::{Style, View};

/// The largest number that a trial run counts up to.
const MOST_COUNTED: u64 = 1_000_000;

/// Which messages, and who asks.
#[derive(Debug, Args)]
pub(crate) struct BulkArgs {
    #[command(flatten)]
    selection: SelectionArgs,
    /// Choose all messages that wait
    #[arg(long)]
    all: bool,
    /// The largest number of messages; the oldest are chosen
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Count what would be chosen, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The person who asks, for the record; the account unless given
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// A comment, for the record
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// How long to work on it here; 0 leaves it to a process that runs the desk
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = read_span)]
    pub(crate) wait: Duration,
}

impl BulkArgs {
    /// Returns the plan for a verb.
    pub(crate) fn plan(&self, verb: BulkVerb) -> Result<NewBulk, CliError> {
        if self.selection.is_empty() && !self.all {
            return Err(CliError::refused(
                "say which messages: give --where, --group or --row, or --all for all that wait",
            ));
        }
        let mut plan = NewBulk::new(verb, self.selection.filter()?, who(self.who.as_deref())?);
        plan.limit = self.limit;
        plan.comment.clone_from(&self.comment);
        Ok(plan)
    }
}

/// How to send messages back.
#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    pub(crate) bulk: BulkArgs,
    /// The largest number of messages a second, such as 20/s
    #[arg(long, value_name = "RATE", value_parser = read_rate)]
    rate: Option<f64>,
    /// Send so many first, and the others only if all of these are handled
    #[arg(long, value_name = "N")]
    canary: Option<u64>,
    /// When a message that was sent and has not come back counts as handled
    ///
    /// It must be longer than all retries of the subscription take.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = read_span)]
    evidence: Duration,
    #[command(flatten)]
    pub(crate) broker: BrokerArgs,
}

impl RetryArgs {
    /// Returns the plan.
    pub(crate) fn plan(&self, verb: BulkVerb) -> Result<NewBulk, CliError> {
        let mut plan = self.bulk.plan(verb)?.evidence(self.evidence);
        plan.rate = self.rate;
        Ok(match self.canary {
            Some(first) => plan.canary(first),
            None => plan,
        })
    }
}

/// How to send messages to another channel.
#[derive(Debug, Args)]
pub(crate) struct RedirectArgs {
    /// The channel to send them to
    #[arg(long, value_name = "CHANNEL")]
    to: String,
    #[command(flatten)]
    pub(crate) bulk: BulkArgs,
    /// The largest number of messages a second, such as 20/s
    #[arg(long, value_name = "RATE", value_parser = read_rate)]
    rate: Option<f64>,
    #[command(flatten)]
    pub(crate) broker: BrokerArgs,
}

impl RedirectArgs {
    /// Returns the plan.
    pub(crate) fn plan(&self) -> Result<NewBulk, CliError> {
        let to = self.to.as_str().into();
        let mut plan = self.bulk.plan(BulkVerb::Redirect { to })?;
        plan.rate = self.rate;
        Ok(plan)
    }
}

/// How to archive messages.
#[derive(Debug, Args)]
pub(crate) struct ArchiveArgs {
    #[command(flatten)]
    pub(crate) bulk: BulkArgs,
}

/// How to remove messages.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    pub(crate) bulk: BulkArgs,
    /// Remove them: without this nothing is removed
    #[arg(long)]
    yes: bool,
}

impl DeleteArgs {
    /// Returns the plan, if the person has agreed to it.
    pub(crate) fn plan(&self) -> Result<NewBulk, CliError> {
        if !self.yes && !self.bulk.dry_run {
            return Err(CliError::refused(
                "delete removes messages for good: add --yes to do it, or --dry-run to count them first",
            ));
        }
        self.bulk.plan(BulkVerb::Delete)
    }
}

/// Begins an operation, and works on it until it ends.
pub(crate) async fn run(
    database: &DatabaseArgs,
    plan: NewBulk,
    args: &BulkArgs,
    broker: Option<&BrokerArgs>,
) -> Result<CommandResult, CliError> {
    plan.validate()
        .map_err(|error| CliError::from(brighter::desk::OperateError::from(error)))?;
    if args.dry_run {
        return trial(database, &plan).await;
    }
    if args.wait.is_zero() {
        let operation = database.desk().await?.begin(&plan).await?;
        return Ok(outcome(&operation, true));
    }
    let work = match broker {
        Some(broker) => OperationRun::sending(database, broker, &plan.filter).await?,
        None => OperationRun::at_desk(database).await?,
    };
    work.begin(&plan, args.wait).await
}

/// Counts what an operation would choose.
async fn trial(database: &DatabaseArgs, plan: &NewBulk) -> Result<CommandResult, CliError> {
    let desk = database.desk().await?;
    let most = plan.limit.unwrap_or(MOST_COUNTED);
    let chosen = desk.count(&plan.filter, most.min(MOST_COUNTED)).await?;
    let verb = plan.verb.as_str();
    let at_least = chosen == MOST_COUNTED && plan.limit.is_none_or(|limit| limit > MOST_COUNTED);
    let json = json!({
        "dry_run": { "verb": verb, "where": plan.filter.to_string(), "limit": plan.limit, "chosen": chosen, "at_least": at_least }
    });
    let more = if at_least { "at least " } else { "" };
    let mut view = View::default();
    view.styled(
        Style::Bold,
        format!("{verb} would choose {more}{}.", messages(chosen)),
    );
    view.plain(format!(
        "Nothing was changed. To see them: brighter dead list --where \"{}\"",
        shown(&plan.filter)
    ));
    Ok(CommandResult::new(view, json))
}

/// Returns a number of messages in words.
pub(crate) fn messages(count: u64) -> String {
    match count {
        1 => "1 message".to_owned(),
        count => format!("{count} messages"),
    }
}

/// Returns a filter as it is written between double quotes of a shell.
fn shown(filter: &DeskFilter) -> String {
    let text = filter.to_string();
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}
