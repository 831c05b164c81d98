//! `export`, `import` and `take`: messages out of a desk, and into one.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;

use brighter::channel::Channel;
use brighter::desk::{Desk, DeskFilter, DeskStore, NewDeskMessage, Taken, TakenCounts};
use clap::Args;
use serde_json::json;

use super::bulk::messages;
use super::selection::SelectionArgs;
use crate::outcome::{CliError, CommandResult, Done};
use crate::stores::{BrokerArgs, DatabaseArgs};
use crate::view::{View, clean_json};

/// How many rows are read at once, and how many messages are stored in one transaction.
const PAGE: usize = 500;
const TOGETHER: usize = 100;
/// How many bad lines are told one by one.
const TOLD: usize = 20;

/// The options of `export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    selection: SelectionArgs,
    /// Export messages in every state, not only those that wait
    #[arg(long)]
    all_states: bool,
    /// The largest number of messages; the newest are chosen
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// A new file to write to, in place of the standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl ExportArgs {
    /// Returns the filter.
    pub(crate) fn filter(&self) -> Result<DeskFilter, CliError> {
        match self.all_states {
            true => self.selection.in_all_states(),
            false => self.selection.filter(),
        }
    }
}

/// The options of `import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The file with the lines, or - for the standard input
    file: PathBuf,
    /// Read all lines, and store nothing
    #[arg(long)]
    dry_run: bool,
}

/// The options of `take`.
#[derive(Debug, Args)]
pub(crate) struct TakeArgs {
    /// A channel whose dead letters and invalid messages are taken; several are possible
    #[arg(long = "channel", value_name = "NAME", required = true)]
    channels: Vec<String>,
    #[command(flatten)]
    broker: BrokerArgs,
}

/// Writes messages as lines of JSON.
pub(crate) async fn export(
    desk: &dyn DeskStore,
    filter: &DeskFilter,
    args: &ExportArgs,
) -> Result<CommandResult, CliError> {
    let mut out: Box<dyn Write> = match &args.output {
        None => Box::new(BufWriter::new(std::io::stdout())),
        Some(path) => {
            let file = File::create_new(path);
            let file = file.map_err(|error| {
                CliError::failed(format!("the file {} cannot be made: {error}", path.display()))
            })?;
            Box::new(BufWriter::new(file))
        }
    };
    let (mut left, mut before, mut written) = (args.limit.unwrap_or(u64::MAX), None, 0_u64);
    while left > 0 {
        let page = usize::try_from(left).unwrap_or(PAGE).min(PAGE);
        let rows = desk.list(filter, before, page).await?;
        let Some(last) = rows.last() else { break };
        before = Some(last.id);
        for row in &rows {
            // It may have been deleted meanwhile.
            if let Some(message) = desk.read(row.id).await? {
                out.write_all(clean_json(&message.to_line().map_err(CliError::Failed)?).as_bytes())?;
                written += 1;
            }
        }
        left -= rows.len() as u64;
    }
    out.flush()?;
    let view = View::line(format!("{} exported.", messages(written)));
    let mut outcome = CommandResult::new(view, json!({ "exported": { "messages": written } }));
    outcome.aside = args.output.is_none();
    Ok(outcome)
}

/// The outcome of an import, line by line.
#[derive(Debug, Default)]
struct Imported {
    counts: [u64; 3],
    bad: Vec<(u64, String)>,
    bad_lines: u64,
}

impl Imported {
    fn add(&mut self, taken: &[Taken]) {
        let [new, again, known] = &mut self.counts;
        for taken in taken {
            match taken {
                Taken::New => *new += 1,
                Taken::Again => *again += 1,
                _ => *known += 1,
            }
        }
    }

    fn bad(&mut self, line: u64, error: String) {
        self.bad_lines += 1;
        if self.bad.len() < TOLD {
            self.bad.push((line, error));
        }
    }
}

/// Takes messages from lines of JSON.
pub(crate) async fn import(database: &DatabaseArgs, args: &ImportArgs) -> Result<CommandResult, CliError> {
    let lines: Box<dyn BufRead> = if args.file.as_os_str() == "-" {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        let file = File::open(&args.file).map_err(|error| {
            CliError::failed(format!(
                "the file {} cannot be read: {error}",
                args.file.display()
            ))
        })?;
        Box::new(BufReader::new(file))
    };
    let desk = database.desk().await?;
    let (mut imported, mut together, mut read) = (Imported::default(), Vec::new(), 0_u64);
    for (line, number) in lines.split(b'\n').zip(1..) {
        let line = line?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let text = std::str::from_utf8(&line).map_err(|error| error.to_string());
        let message = text.and_then(|text| {
            NewDeskMessage::from_line(text).map_err(|error| brighter_core::__private::report(&*error))
        });
        match message {
            Ok(message) => together.push(message),
            Err(error) => imported.bad(number, error),
        }
        if together.len() == TOGETHER {
            read += together.len() as u64;
            store(&*desk, &mut together, args.dry_run, &mut imported).await?;
        }
    }
    read += together.len() as u64;
    store(&*desk, &mut together, args.dry_run, &mut imported).await?;
    Ok(imported_outcome(&imported, read, args.dry_run))
}

async fn store(
    desk: &dyn DeskStore,
    together: &mut Vec<NewDeskMessage>,
    dry_run: bool,
    imported: &mut Imported,
) -> Result<(), CliError> {
    if !dry_run && !together.is_empty() {
        imported.add(&desk.take(together).await?);
    }
    together.clear();
    Ok(())
}

fn imported_outcome(imported: &Imported, read: u64, dry_run: bool) -> CommandResult {
    let [new, again, known] = imported.counts;
    let mut view = match dry_run {
        true => View::line(format!(
            "{} could be imported. Nothing was changed.",
            messages(read)
        )),
        false => View::line(format!(
            "{} read: {new} new, {again} died again, {known} known already.",
            messages(read)
        )),
    };
    for (line, error) in &imported.bad {
        view.plain(format!("line {line}: {error}"));
    }
    if imported.bad_lines > imported.bad.len() as u64 {
        view.plain(format!(
            "… {} more bad lines",
            imported.bad_lines - imported.bad.len() as u64
        ));
    }
    let bad = imported
        .bad
        .iter()
        .map(|(line, error)| json!({ "line": line, "error": error }));
    let json = json!({
        "imported": {
            "dry_run": dry_run,
            "messages": read,
            "new": new,
            "again": again,
            "known": known,
            "bad": imported.bad_lines,
            "bad_lines": bad.collect::<Vec<_>>(),
        }
    });
    let mut outcome = CommandResult::new(view, json);
    outcome.done = match (imported.bad_lines, read) {
        (0, _) => Done::All,
        (_, 0) => Done::Failed,
        _ => Done::Partly,
    };
    outcome
}

/// Takes what waits in the dead-letter channels.
pub(crate) async fn take(database: &DatabaseArgs, args: &TakeArgs) -> Result<CommandResult, CliError> {
    let (broker, store) = (args.broker.needed().await?, database.desk().await?);
    let mut desk = Desk::new(std::sync::Arc::clone(&broker), store);
    for name in &args.channels {
        desk = desk.channel(&Channel::new(name.as_str(), ""));
    }
    let taken: TakenCounts = desk.take_waiting().await?;
    broker.close().await;
    let TakenCounts {
        new,
        again,
        known,
        left,
        ..
    } = taken;
    let mut view = View::line(format!("{new} new, {again} died again, {known} known already."));
    if left > 0 {
        view.plain(format!(
            "{} cannot be read, and stay in their channel.",
            messages(left)
        ));
    }
    let json = json!({ "taken": { "new": new, "again": again, "known": known, "left": left } });
    let mut outcome = CommandResult::new(view, json);
    if left > 0 {
        outcome.done = Done::Partly;
    }
    Ok(outcome)
}
