//! `operations`, `stop` and `continue`: what was begun, by whom, and how far it is.

use std::time::Duration;

use brighter::desk::{BulkItem, BulkState, DeskFilter, DeskStore, ItemState, OperationId, Steering};
use clap::Args;
use serde_json::json;

use super::selection::who;
use super::working::{OperationRun, operation_json, operation_view, outcome, verb_text};
use crate::outcome::{CliError, CommandResult};
use crate::stores::{BrokerArgs, DatabaseArgs};
use crate::times::{ago, read_span, stamp};
use crate::view::{Style, View};

/// How many items of an operation are read at once, and how many problems are told.
const PAGE: usize = 500;
const TOLD: usize = 20;

/// Which operations to list.
#[derive(Debug, Args)]
pub(crate) struct OperationsArgs {
    /// The operation to show, with who did what to it
    id: Option<OperationId>,
    /// The largest number of operations
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
}

/// Which operation to stop.
#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// The operation
    id: OperationId,
    /// The person who asks, for the record; the account unless given
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
}

/// Which operation to continue.
#[derive(Debug, Args)]
pub(crate) struct ContinueArgs {
    /// The operation
    id: OperationId,
    /// The person who asks, for the record; the account unless given
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// How long to work on it here; 0 leaves it to a process that runs the desk
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = read_span)]
    wait: Duration,
    #[command(flatten)]
    broker: BrokerArgs,
}

/// Lists operations, or shows one.
pub(crate) async fn list(desk: &dyn DeskStore, args: &OperationsArgs) -> Result<CommandResult, CliError> {
    if let Some(id) = args.id {
        return show(desk, id).await;
    }
    let operations = desk.operations(args.limit as usize).await?;
    let json = json!({ "operations": operations.iter().map(operation_json).collect::<Vec<_>>() });
    if operations.is_empty() {
        return Ok(CommandResult::new(
            View::line("There is no operation at the desk."),
            json,
        ));
    }
    let mut view = View::default();
    let head = [
        "OPERATION",
        "STATE",
        "BEGUN",
        "WHO",
        "VERB",
        "DONE",
        "OF",
        "WHERE",
    ];
    let rows = operations.iter().map(|operation| {
        vec![
            operation.id.to_string(),
            operation.state.as_str().to_owned(),
            ago(operation.begun_at),
            operation.plan.who.clone(),
            verb_text(&operation.plan.verb),
            operation.counts.done.to_string(),
            operation.counts.total().to_string(),
            operation.plan.filter.to_string(),
        ]
    });
    view.table(&head, rows.collect());
    Ok(CommandResult::new(view, json))
}

async fn show(desk: &dyn DeskStore, id: OperationId) -> Result<CommandResult, CliError> {
    let operation = desk.operation(id).await?.ok_or_else(|| missing(id))?;
    let audit = desk.audit(id).await?;
    let mut view = operation_view(&operation);
    view.styled(Style::Bold, "Record");
    for event in &audit {
        let who = if event.who.is_empty() {
            "the desk"
        } else {
            &event.who
        };
        view.plain(format!("  {}  {who}: {}", ago(event.at), event.what));
    }
    let problems = problems(desk, id).await?;
    if !problems.is_empty() {
        view.styled(Style::Bold, "Messages that were not done");
    }
    for item in &problems {
        let note = item.note.as_deref().unwrap_or_default();
        view.plain(format!("  row {} {}: {note}", item.row, item.state.as_str()));
    }
    let problems = problems
        .iter()
        .map(|item| json!({ "row": item.row.get(), "state": item.state.as_str(), "note": item.note }));
    let problems: Vec<_> = problems.collect();
    let audit = audit
        .iter()
        .map(|event| json!({ "at": stamp(event.at), "who": event.who, "what": event.what }));
    let audit: Vec<_> = audit.collect();
    Ok(CommandResult::new(
        view,
        json!({ "operation": operation_json(&operation), "audit": audit, "problems": problems }),
    ))
}

/// Returns the first messages that came back, failed or were skipped.
async fn problems(desk: &dyn DeskStore, id: OperationId) -> Result<Vec<BulkItem>, CliError> {
    let (mut problems, mut after) = (Vec::new(), None);
    loop {
        let items = desk.items(id, after, PAGE).await?;
        let Some(last) = items.last() else { break };
        after = Some(last.row);
        let bad = |item: &BulkItem| {
            matches!(
                item.state,
                ItemState::CameBack | ItemState::Failed | ItemState::Skipped
            )
        };
        problems.extend(items.into_iter().filter(bad));
        if problems.len() >= TOLD {
            break;
        }
    }
    problems.truncate(TOLD);
    Ok(problems)
}

fn missing(id: OperationId) -> CliError {
    CliError::failed(format!("there is no operation {id} at this desk"))
}

/// Stops an operation.
pub(crate) async fn stop(desk: &dyn DeskStore, args: &StopArgs) -> Result<CommandResult, CliError> {
    let who = who(args.who.as_deref())?;
    desk.operation(args.id).await?.ok_or_else(|| missing(args.id))?;
    let changed = desk.steer(args.id, Steering::Stop, &who).await?;
    let operation = desk.operation(args.id).await?.ok_or_else(|| missing(args.id))?;
    let mut view = operation_view(&operation);
    if !changed {
        view.plain("There was nothing to stop.");
    }
    Ok(CommandResult::new(
        view,
        json!({ "operation": operation_json(&operation), "changed": changed }),
    ))
}

/// Lets an operation go on, and works on it.
pub(crate) async fn continue_it(
    database: &DatabaseArgs,
    args: &ContinueArgs,
) -> Result<CommandResult, CliError> {
    let (desk, who) = (database.desk().await?, who(args.who.as_deref())?);
    let operation = desk.operation(args.id).await?.ok_or_else(|| missing(args.id))?;
    if operation.state == BulkState::Done {
        return Ok(outcome(&operation, false));
    }
    let work = if args.wait.is_zero() {
        None
    } else if operation.plan.verb.sends() {
        // Its messages wait, are sent or were sent: all of them have the operation's own conditions but the state.
        let mut filter = DeskFilter::default();
        let conditions = operation.plan.filter.conditions.iter().cloned();
        let is_state = |condition: &_| matches!(condition, brighter::desk::FilterCondition::State(..));
        filter.conditions = conditions.filter(|condition| !is_state(condition)).collect();
        Some(OperationRun::sending(database, &args.broker, &filter).await?)
    } else {
        Some(OperationRun::at_desk(database).await?)
    };
    desk.steer(args.id, Steering::GoOn, &who).await?;
    match work {
        Some(work) => work.continue_it(args.id, args.wait).await,
        None => {
            let operation = desk.operation(args.id).await?.ok_or_else(|| missing(args.id))?;
            Ok(outcome(&operation, true))
        }
    }
}
