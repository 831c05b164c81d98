//! [`OperationRun`]: continues an operation in this process, and shows how it goes.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use brighter::InMemoryBroker;
use brighter::channel::{Broker, Channel, RejectionKind};
use brighter::desk::{
    BulkOperation, BulkState, BulkVerb, Desk, DeskFilter, DeskRow, DeskStore, NewBulk, OperateError,
    OperationId,
};
use serde_json::{Value, json};

use crate::outcome::{CliError, CommandResult, Done};
use crate::stores::{BrokerArgs, DatabaseArgs};
use crate::times::{ago, stamp};
use crate::view::{Style, View};

/// How often it is shown how far an operation is.
const LOOK: Duration = Duration::from_millis(500);
/// How often messages that came back are taken to the desk.
const TAKE: Duration = Duration::from_secs(1);
/// How many rows are looked at for the channels that messages may come back to.
const ROWS: usize = 1_000;

/// Continues an operation.
pub(super) struct OperationRun {
    desk: Desk,
    broker: Option<Arc<dyn Broker>>,
}

impl OperationRun {
    /// Returns the work for a verb that sends nothing.
    pub(super) async fn at_desk(database: &DatabaseArgs) -> Result<Self, CliError> {
        let desk = Desk::new(Arc::new(InMemoryBroker::new()), database.desk().await?);
        Ok(Self { desk, broker: None })
    }

    /// Returns the work for a verb that sends messages. Those that come back are taken to the desk meanwhile, as there
    /// may be no process that runs it.
    pub(super) async fn sending(
        database: &DatabaseArgs,
        broker: &BrokerArgs,
        filter: &DeskFilter,
    ) -> Result<Self, CliError> {
        let store = database.desk().await?;
        let rows = store.list(filter, None, ROWS).await?;
        let broker = broker.needed().await?;
        let mut desk = Desk::new(Arc::clone(&broker), store).allow_edits();
        for channel in sources(&rows) {
            desk = desk.channel(&channel);
        }
        let broker = Some(broker);
        Ok(Self { desk, broker })
    }

    /// Returns the store of the desk.
    pub(super) fn store(&self) -> &dyn DeskStore {
        self.desk.store()
    }

    /// Begins an operation, and continues it.
    pub(super) async fn begin(self, plan: &NewBulk, wait: Duration) -> Result<CommandResult, CliError> {
        let begun = self.desk.begin(plan).await?;
        self.continue_it(begun.id, wait).await
    }

    /// Continues an operation until it ends, the time is over, or the person has enough.
    pub(super) async fn continue_it(
        self,
        id: OperationId,
        wait: Duration,
    ) -> Result<CommandResult, CliError> {
        let worked = tokio::select! {
            worked = self.desk.work(id) => worked.map(Some),
            () = self.keep_taking() => Ok(None),
            () = show_progress(self.store(), id) => Ok(None),
            () = tokio::time::sleep(wait) => Ok(None),
            _ = tokio::signal::ctrl_c() => Ok(None),
        };
        let operation = match worked? {
            Some(operation) => operation,
            None => {
                let operation = self.store().operation(id).await?;
                operation.ok_or(OperateError::NoOperation(id))?
            }
        };
        if let Some(broker) = &self.broker {
            broker.close().await;
        }
        Ok(outcome(&operation, false))
    }

    /// Takes messages that came back, and never returns.
    async fn keep_taking(&self) {
        loop {
            if self.broker.is_none() {
                std::future::pending::<()>().await;
            }
            // A channel that cannot be consumed now may be later, and another process may take its messages.
            let _ = self.desk.take_waiting().await;
            tokio::time::sleep(TAKE).await;
        }
    }
}

/// Returns the channels whose dead letters these messages were.
fn sources(rows: &[DeskRow]) -> Vec<Channel> {
    let pairs = rows
        .iter()
        .filter_map(|row| Some((row.channel.clone()?, row.source.clone())));
    let pairs: BTreeSet<_> = pairs.collect();
    let channel = |(name, source): (brighter::message::ChannelName, brighter::message::ChannelName)| {
        let is_invalid = rows
            .iter()
            .any(|row| row.source == source && row.kind == RejectionKind::Invalid);
        let mut channel = Channel::new(name, "");
        match is_invalid && source == channel.invalid_messages {
            true => channel.invalid_messages = source,
            false => channel.dead_letters = source,
        }
        channel
    };
    pairs.into_iter().map(channel).collect()
}

/// Shows on a terminal how far an operation is, and never returns.
async fn show_progress(store: &dyn DeskStore, id: OperationId) {
    if !std::io::stderr().is_terminal() {
        std::future::pending::<()>().await;
    }
    loop {
        tokio::time::sleep(LOOK).await;
        // What cannot be read now is shown at the next look.
        if let Ok(Some(operation)) = store.operation(id).await {
            let counts = operation.counts;
            let canary = operation.canary_to_pass().map_or("", |_| " (canary)");
            let line = format!(
                "\r{} of {}{canary}: {} sent, {} done, {} came back, {} failed   ",
                counts.begun(),
                counts.total(),
                counts.sent,
                counts.done,
                counts.came_back,
                counts.failed,
            );
            // The operation does not depend on who looks.
            let _ = std::io::stderr().write_all(line.as_bytes());
            if counts.open() == 0 {
                let _ = std::io::stderr().write_all(b"\n");
            }
        }
    }
}

/// Returns what became of an operation. `is_left` tells whether it was to be left to another process.
pub(super) fn outcome(operation: &BulkOperation, is_left: bool) -> CommandResult {
    let (counts, mut view) = (operation.counts, operation_view(operation));
    let done = match operation.state {
        BulkState::Running if is_left => Done::All,
        BulkState::Done if counts.bad() == 0 => Done::All,
        BulkState::Done if counts.done == 0 => Done::Failed,
        _ => Done::Partly,
    };
    let id = operation.id;
    match operation.state {
        BulkState::Running if is_left => {
            view.plain("A process that runs the desk continues it. To see how far it is:");
            view.plain(format!("  brighter dead operations {id}"));
        }
        BulkState::Running => {
            view.plain("It has not ended. A process that runs the desk continues it, or this one again:");
            view.plain(format!("  brighter dead continue {id}"));
            view.plain(format!("To stop it: brighter dead stop {id}"));
        }
        BulkState::Stopped => view.plain(format!("To go on all the same: brighter dead continue {id}")),
        _ if counts.bad() > 0 => view.plain(format!("To see why: brighter dead operations {id}")),
        _ => {}
    }
    let mut outcome = CommandResult::new(view, json!({ "operation": operation_json(operation) }));
    outcome.done = done;
    outcome
}

/// Returns an operation for people.
pub(super) fn operation_view(operation: &BulkOperation) -> View {
    let (plan, counts) = (&operation.plan, operation.counts);
    let mut view = View::default();
    view.styled(Style::Bold, format!("Operation {}", operation.id));
    view.field("verb", verb_text(&plan.verb));
    view.field("who", &plan.who);
    view.field("where", plan.filter.to_string());
    if let Some(comment) = &plan.comment {
        view.field("comment", comment);
    }
    view.field("begun", ago(operation.begun_at));
    view.field("state", operation.state.as_str());
    view.field("chosen", counts.total().to_string());
    let each = [
        ("pending", counts.pending),
        ("sending", counts.sending),
        ("sent", counts.sent),
        ("done", counts.done),
        ("came back", counts.came_back),
        ("failed", counts.failed),
        ("skipped", counts.skipped),
    ];
    for (name, count) in each {
        if count > 0 {
            view.field(name, count.to_string());
        }
    }
    if let Some(text) = &operation.outcome {
        let style = if counts.bad() == 0 {
            Style::Good
        } else {
            Style::Bad
        };
        view.styled(style, text);
    }
    view
}

/// Returns a verb with what belongs to it.
pub(super) fn verb_text(verb: &BulkVerb) -> String {
    match verb {
        BulkVerb::Redirect { to } => format!("redirect to {to}"),
        BulkVerb::Edit { id, .. } => format!("edit, as message {id}"),
        other => other.as_str().to_owned(),
    }
}

/// Returns an operation for a program.
pub(super) fn operation_json(operation: &BulkOperation) -> Value {
    let plan = &operation.plan;
    let (to, new_id) = match &plan.verb {
        BulkVerb::Redirect { to } => (Some(to.as_str()), None),
        BulkVerb::Edit { id, .. } => (None, Some(id.to_string())),
        _ => (None, None),
    };
    json!({
        "id": operation.id.to_string(),
        "verb": plan.verb.as_str(),
        "to": to,
        "new_id": new_id,
        "who": plan.who,
        "where": plan.filter.to_string(),
        "limit": plan.limit,
        "rate": plan.rate,
        "canary": plan.canary.map(|canary| canary.first),
        "canary_passed": operation.canary_passed,
        "evidence_seconds": plan.evidence.as_secs(),
        "comment": plan.comment,
        "state": operation.state.as_str(),
        "outcome": operation.outcome,
        "counts": operation.counts,
        "chosen": operation.counts.total(),
        "begun_at": stamp(operation.begun_at),
        "ended_at": operation.ended_at.map(stamp),
    })
}
