//! `brighter status`: the desk, the outbox and the broker at a glance.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use brighter::channel::{Broker, Channel};
use brighter::desk::{BulkState, DeskFilter, DeskState, DeskStore, FilterCondition};
use brighter::outbox::Outbox;
use clap::Args;
use serde_json::{Value, json};

use crate::outbox::{status_json, status_view};
use crate::outcome::{CliError, CommandResult, Done};
use crate::stores::{BrokerArgs, DatabaseArgs};
use crate::times::read_span;
use crate::view::{Style, View, clean_json, is_coloured};

/// The largest number that messages are counted up to, and how many operations are looked at.
const MOST_COUNTED: u64 = 1_000_000;
const OPERATIONS: usize = 50;

/// The options of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Show how many messages wait in this channel, and among its dead letters and invalid messages; several are possible
    #[arg(long = "channel", value_name = "NAME")]
    channels: Vec<String>,
    /// Show it again and again, with this time between, until ctrl-c
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "2s", value_parser = read_span)]
    watch: Option<Duration>,
    #[command(flatten)]
    broker: BrokerArgs,
}

/// Shows the desk, the outbox and the broker.
pub(crate) async fn run(
    database: &DatabaseArgs,
    args: StatusArgs,
    json: bool,
) -> Result<CommandResult, CliError> {
    let (desk, outbox) = (database.desk().await?, database.outbox().await?);
    let broker = args.broker.connect().await?;
    loop {
        let mut outcome = look(&*desk, &*outbox, broker.as_deref(), &args.channels).await?;
        let Some(pause) = args.watch else {
            return Ok(outcome);
        };
        let mut out = std::io::stdout();
        let is_terminal = out.is_terminal();
        let text = match (json, is_terminal) {
            (true, _) => clean_json(&outcome.json.to_string()),
            // Clears the terminal, from its first line on.
            (false, true) => format!("\x1b[H\x1b[2J{}", outcome.view.render(is_coloured(true))),
            (false, false) => outcome.view.render(false),
        };
        out.write_all(text.as_bytes())?;
        out.flush()?;
        tokio::select! {
            () = tokio::time::sleep(pause.max(Duration::from_millis(200))) => {}
            _ = tokio::signal::ctrl_c() => {
                outcome.view = View::default();
                outcome.aside = true;
                return Ok(outcome);
            }
        }
    }
}

async fn look(
    desk: &dyn DeskStore,
    outbox: &dyn Outbox,
    broker: Option<&dyn Broker>,
    channels: &[String],
) -> Result<CommandResult, CliError> {
    let mut view = View::default();
    view.styled(Style::Bold, "Desk");
    let mut counts = serde_json::Map::new();
    for state in DeskState::ALL {
        let of_state = FilterCondition::State(brighter::desk::Comparison::Is, state);
        let count = desk
            .count(&DeskFilter::default().and(of_state), MOST_COUNTED)
            .await?;
        let more = if count == MOST_COUNTED { " or more" } else { "" };
        view.field(state.as_str(), format!("{count}{more}"));
        counts.insert(state.as_str().to_owned(), count.into());
    }
    let operations = desk.operations(OPERATIONS).await?;
    let count = |state| {
        operations
            .iter()
            .filter(|operation| operation.state == state)
            .count()
    };
    let (running, stopped) = (count(BulkState::Running), count(BulkState::Stopped));
    view.field("operations", format!("{running} running, {stopped} stopped"));
    view.styled(Style::Bold, "Outbox");
    let status = outbox.status().await?;
    status_view(&mut view, &status);
    let (found, is_whole) = match broker {
        None => (Value::Null, true),
        Some(broker) => broker_status(&mut view, broker, channels).await,
    };
    let json = json!({
        "desk": { "messages": counts, "operations": { "running": running, "stopped": stopped } },
        "outbox": status_json(&status),
        "broker": found,
    });
    let mut outcome = CommandResult::new(view, json);
    if !is_whole {
        outcome.done = Done::Partly;
    }
    Ok(outcome)
}

/// Adds what waits in channels. Returns it for a program, and whether all of it could be read.
async fn broker_status(view: &mut View, broker: &dyn Broker, channels: &[String]) -> (Value, bool) {
    view.styled(Style::Bold, format!("Broker ({})", broker.system()));
    let (mut found, mut is_whole) = (Vec::new(), true);
    for name in channels {
        let channel = Channel::new(name.as_str(), "");
        for name in [channel.name, channel.dead_letters, channel.invalid_messages] {
            let depth = broker.depth(&Channel::existing(name.clone())).await;
            let text = match &depth {
                Ok(Some(depth)) => depth.to_string(),
                Ok(None) => "unknown".to_owned(),
                Err(error) => {
                    is_whole = false;
                    brighter_core::__private::report(error)
                }
            };
            let error = depth.as_ref().err().map(|_| text.clone());
            view.plain(format!("  {name}: {text}"));
            found.push(json!({ "channel": name.as_str(), "waiting": depth.ok().flatten(), "error": error }));
        }
    }
    (json!({ "system": broker.system(), "channels": found }), is_whole)
}
