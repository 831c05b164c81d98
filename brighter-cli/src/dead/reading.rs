//! `groups` and `list`.

use brighter::desk::{DeadGroup, DeskFilter, DeskId, DeskRow, DeskStore};
use clap::Args;
use serde_json::{Value, json};

use super::selection::SelectionArgs;
use crate::outcome::{CliError, CommandResult};
use crate::times::{ago, stamp};
use crate::view::View;

/// How to show groups.
#[derive(Debug, Args)]
pub(crate) struct GroupsArgs {
    /// The largest number of groups
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
}

/// How to list messages.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    selection: SelectionArgs,
    /// List messages in every state, not only those that wait
    #[arg(long)]
    all_states: bool,
    /// The largest number of messages
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// List those before this row: the last one of the page before
    #[arg(long, value_name = "ROW")]
    before: Option<u64>,
}

impl ListArgs {
    /// Returns the filter.
    pub(crate) fn filter(&self) -> Result<DeskFilter, CliError> {
        match self.all_states {
            true => self.selection.in_all_states(),
            false => self.selection.filter(),
        }
    }
}

/// Shows groups.
pub(crate) async fn groups(desk: &dyn DeskStore, args: &GroupsArgs) -> Result<CommandResult, CliError> {
    let groups = desk.groups(args.limit as usize).await?;
    let json = json!({ "groups": groups.iter().map(group_json).collect::<Vec<_>>() });
    if groups.is_empty() {
        return Ok(CommandResult::new(
            View::line("No message waits at the desk."),
            json,
        ));
    }
    let mut view = View::default();
    let head = [
        "GROUP", "WAIT", "CHANNEL", "HANDLER", "FIRST", "LAST", "24 HOURS", "ERROR",
    ];
    let rows = groups.iter().map(|group| {
        vec![
            group.key.to_string(),
            group.waiting.to_string(),
            or_dash(Some(&group.channel)),
            or_dash(group.handler.as_deref()),
            ago(group.first),
            ago(group.last),
            sparkline(&group.hours),
            error_of(group.error_type.as_deref(), &group.pattern),
        ]
    });
    view.table(&head, rows.collect());
    Ok(CommandResult::new(view, json))
}

fn group_json(group: &DeadGroup) -> Value {
    json!({
        "group": group.key.to_string(),
        "channel": Some(&group.channel).filter(|name| !name.is_empty()),
        "kind": group.kind.as_str(),
        "handler": group.handler,
        "error_type": group.error_type,
        "pattern": group.pattern,
        "waiting": group.waiting,
        "deaths": group.deaths,
        "first": stamp(group.first),
        "last": stamp(group.last),
        "hours": group.hours,
    })
}

/// Returns the deaths of each hour as bars; an hour without one is a dot.
fn sparkline(hours: &[u64; 24]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = hours.iter().copied().max().unwrap_or(0).max(1);
    let bar = |hour: &u64| match hour {
        0 => '·',
        hour => {
            let at = usize::try_from(u128::from(hour - 1) * 8 / u128::from(most)).unwrap_or(7);
            BARS.get(at).copied().unwrap_or('█')
        }
    };
    hours.iter().map(bar).collect()
}

/// Returns a text, or a dash in place of nothing.
pub(crate) fn or_dash(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or("-").to_owned()
}

fn error_of(error_type: Option<&str>, error: &str) -> String {
    match error_type {
        Some(name) => format!("{name}: {error}"),
        None => or_dash(Some(error)),
    }
}

/// Lists messages.
pub(crate) async fn list(
    desk: &dyn DeskStore,
    filter: &DeskFilter,
    args: &ListArgs,
) -> Result<CommandResult, CliError> {
    let before = args.before.map(DeskId::new);
    let rows = desk.list(filter, before, args.limit as usize).await?;
    let next = rows.last().filter(|_| rows.len() == args.limit as usize);
    let next = next.map(|row| row.id.get());
    let json = json!({ "messages": rows.iter().map(row_json).collect::<Vec<_>>(), "next": next });
    if rows.is_empty() {
        return Ok(CommandResult::new(View::line("No message is chosen."), json));
    }
    let mut view = View::default();
    let head = [
        "ROW", "STATE", "DIED", "DEATHS", "CHANNEL", "TOPIC", "ID", "ERROR",
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.id.to_string(),
            row.state.as_str().to_owned(),
            ago(row.died_at),
            row.deaths.to_string(),
            or_dash(row.channel.as_ref().map(|name| name.as_str())),
            row.topic.clone(),
            row.message_id.to_string(),
            error_of(row.error_type.as_deref(), &row.error),
        ]
    });
    view.table(&head, cells.collect());
    if let Some(next) = next {
        view.plain(format!("There may be more: add --before {next}"));
    }
    Ok(CommandResult::new(view, json))
}

/// Returns a row for a program.
pub(crate) fn row_json(row: &DeskRow) -> Value {
    json!({
        "row": row.id.get(),
        "id": row.message_id.to_string(),
        "topic": row.topic,
        "type": row.message_type,
        "source": row.source.as_str(),
        "channel": row.channel.as_ref().map(|name| name.as_str()),
        "kind": row.kind.as_str(),
        "handler": row.handler,
        "error_type": row.error_type,
        "error": row.error,
        "group": row.group.to_string(),
        "attempts": row.attempts,
        "deaths": row.deaths,
        "died_at": stamp(row.died_at),
        "state": row.state.as_str(),
        "comment": row.comment,
        "operation": row.operation.map(|id| id.to_string()),
        "body_bytes": row.body_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::sparkline;

    #[test]
    fn a_sparkline_shows_each_hour() {
        let mut hours = [0; 24];
        (hours[0], hours[22], hours[23]) = (1, u64::MAX, u64::MAX / 2);
        let line = sparkline(&hours);
        assert_eq!(line, format!("▁{}█▄", "·".repeat(21)));
    }
}
