//! `edit`: sends one message with another body.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use brighter::MessageId;
use brighter::desk::{BulkVerb, DeskFilter, DeskState, NewBulk};
use clap::Args;
use serde_json::{Value, json};

use super::selection::who;
use super::show::{pretty, read};
use super::working::{OperationRun, outcome};
use crate::outcome::{CliError, CommandResult};
use crate::stores::{BrokerArgs, DatabaseArgs};
use crate::times::read_span;
use crate::view::{Style, View};

/// The largest body that is read.
const MOST_BYTES: u64 = 64 << 20;
/// The largest number of lines of each body that are compared line by line.
const COMPARED: usize = 2_000;

/// How to edit a message.
#[derive(Debug, Args)]
pub(crate) struct EditArgs {
    /// The row, as `list` shows it
    row: u64,
    /// A file with the new body, or - for the standard input
    #[arg(long, value_name = "FILE")]
    body: PathBuf,
    /// Send it: without this an edit is refused
    #[arg(long)]
    allow_edits: bool,
    /// Show the difference, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// The person who asks, for the record; the account unless given
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// A comment, for the record
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// When the message counts as handled if it has not come back
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = read_span)]
    evidence: Duration,
    /// How long to work on it here; 0 leaves it to a process that runs the desk
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = read_span)]
    wait: Duration,
    #[command(flatten)]
    broker: BrokerArgs,
}

impl EditArgs {
    fn body(&self) -> Result<Vec<u8>, CliError> {
        let mut body = Vec::new();
        let failed =
            |error: std::io::Error| CliError::failed(format!("the new body cannot be read: {error}"));
        if self.body.as_os_str() == "-" {
            std::io::stdin()
                .take(MOST_BYTES + 1)
                .read_to_end(&mut body)
                .map_err(failed)?;
        } else {
            let file = std::fs::File::open(&self.body).map_err(failed)?;
            file.take(MOST_BYTES + 1).read_to_end(&mut body).map_err(failed)?;
        }
        match body.len() as u64 > MOST_BYTES {
            true => Err(CliError::refused(format!(
                "the new body has more than {MOST_BYTES} bytes"
            ))),
            false => Ok(body),
        }
    }
}

/// Sends one message with another body.
pub(crate) async fn run(database: &DatabaseArgs, args: &EditArgs) -> Result<CommandResult, CliError> {
    if !args.allow_edits && !args.dry_run {
        return Err(CliError::refused(
            "edit sends a message that nobody has published: add --allow-edits to do it, or --dry-run to see the \
             difference first",
        ));
    }
    let (who, body) = (who(args.who.as_deref())?, args.body()?);
    let store = database.desk().await?;
    let message = read(&*store, args.row).await?;
    let old = message.message.body.as_bytes();
    let was_json = serde_json::from_slice::<Value>(old).is_ok();
    if was_json && let Err(error) = serde_json::from_slice::<Value>(&body) {
        return Err(CliError::refused(format!(
            "the new body is no JSON, as the old one is: {error}"
        )));
    }
    if old == body {
        return Err(CliError::refused(
            "the new body is the old one: use `retry` to send it again",
        ));
    }
    if message.row.state != DeskState::Waiting {
        let state = message.row.state.as_str();
        return Err(CliError::refused(format!(
            "message {} does not wait: it is {state}",
            args.row
        )));
    }
    let difference = difference(&pretty(old), &pretty(&body));
    if args.dry_run {
        let lines: Vec<_> = difference
            .iter()
            .map(|(sign, line)| format!("{sign}{line}"))
            .collect();
        let mut view = difference_view(difference);
        view.plain("Nothing was changed.");
        return Ok(CommandResult::new(
            view,
            json!({ "dry_run": { "verb": "edit", "row": args.row, "difference": lines } }),
        ));
    }
    let id = MessageId::new();
    let filter = DeskFilter::of_row(message.row.id).for_operation();
    let mut plan = NewBulk::new(BulkVerb::Edit { id, body }, filter, who)
        .limit(1)
        .evidence(args.evidence);
    plan.comment.clone_from(&args.comment);
    let mut ended = if args.wait.is_zero() {
        let operation = store.begin(&plan).await?;
        outcome(&operation, true)
    } else {
        let work = OperationRun::sending(database, &args.broker, &plan.filter).await?;
        work.begin(&plan, args.wait).await?
    };
    let mut view = difference_view(difference);
    view.append(ended.view);
    ended.view = view;
    Ok(ended)
}

/// Returns the lines of two texts: those that were taken out (`-`), put in (`+`), and kept.
fn difference(old: &str, new: &str) -> Vec<(char, String)> {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    if old.len() > COMPARED || new.len() > COMPARED {
        return vec![
            ('-', format!("{} lines", old.len())),
            ('+', format!("{} lines, too many to compare", new.len())),
        ];
    }
    // The longest common part behind each pair of lines.
    let width = new.len() + 1;
    let mut common = vec![0_u16; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = match old[i] == new[j] {
                true => common[(i + 1) * width + j + 1] + 1,
                false => common[(i + 1) * width + j].max(common[i * width + j + 1]),
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push((' ', old[i].to_owned()));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len()
            || (i < old.len() && common[(i + 1) * width + j] >= common[i * width + j + 1])
        {
            lines.push(('-', old[i].to_owned()));
            i += 1;
        } else {
            lines.push(('+', new[j].to_owned()));
            j += 1;
        }
    }
    lines
}

fn difference_view(lines: Vec<(char, String)>) -> View {
    let mut view = View::default();
    view.styled(Style::Bold, "Difference");
    for (sign, line) in lines {
        let style = match sign {
            '-' => Style::Bad,
            '+' => Style::Good,
            _ => Style::Plain,
        };
        view.styled(style, format!("{sign} {line}"));
    }
    view
}

#[cfg(test)]
mod tests {
    use super::difference;

    fn said(old: &str, new: &str) -> String {
        let lines = difference(old, new);
        lines
            .into_iter()
            .map(|(sign, line)| format!("{sign}{line}\n"))
            .collect()
    }

    #[test]
    fn a_difference_names_the_lines_that_changed() {
        assert_eq!(said("a\nb\nc", "a\nx\nc\nd"), " a\n-b\n+x\n c\n+d\n");
        assert_eq!(said("", "a"), "+a\n");
        assert_eq!(said("a", ""), "-a\n");
        assert!(said(&"a\n".repeat(3_000), "b").contains("too many to compare"));
    }
}
