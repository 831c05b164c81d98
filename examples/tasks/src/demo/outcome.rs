//! What became of every message: the table at the end, and whether it is what the story promised.

use brighter::channel::rejection_headers;
use brighter::{Message, MessageId};
use tasks::worker::QUEUE;

use super::gateway::Trouble;
use super::narrator::Tone;
use super::stage::Stage;
use super::story::{CAST, GARBAGE};
use crate::failure::Failure;

/// One line of the table.
struct Row {
    name: &'static str,
    outcome: &'static str,
    tone: Tone,
    attempts: u32,
    /// Where it is now.
    place: String,
}

/// What was set aside, read before the broker is closed.
pub(super) struct Aside {
    dead: Vec<Message>,
    invalid: Vec<Message>,
}

impl Aside {
    pub(super) async fn of(stage: &Stage) -> Self {
        Self {
            dead: stage.set_aside("dlq").await,
            invalid: stage.set_aside("invalid").await,
        }
    }
}

const MAILED: &str = "mailed";
const DEAD: &str = "dead-lettered";
const INVALID: &str = "invalid";
const LOST: &str = "LOST";

/// Prints the table and says where the mails are.
///
/// # Errors
/// Whatever is not as it should be.
pub(super) fn show(stage: &Stage, aside: &Aside) -> Result<(), Failure> {
    let mut rows: Vec<Row> = stage
        .posted
        .iter()
        .map(|(name, id)| row(stage, name, id, &aside.dead))
        .collect();
    rows.push(garbage(&aside.invalid));

    let narrator = &stage.narrator;
    let title = format!("{:<18}  {:<13}  attempts  where it is now", "reminder", "outcome");
    narrator.text("");
    narrator.text(narrator.paint(Tone::Strong, title));
    for row in &rows {
        let outcome = narrator.paint(row.tone, format_args!("{:<13}", row.outcome));
        narrator.text(format_args!(
            "{:<18}  {outcome}  {:>8}  {}",
            row.name, row.attempts, row.place
        ));
    }
    narrator.text("");
    narrator.text(format_args!("The mails are in {}", stage.mail.display()));
    check(stage, &rows)
}

fn row(stage: &Stage, name: &'static str, id: &MessageId, dead: &[Message]) -> Row {
    let (outcome, tone, place) = if let Some(path) = stage.mail_of(id) {
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        (MAILED, Tone::Good, file)
    } else {
        match set_aside("dlq", dead, |found| found == id) {
            Some(place) => (DEAD, Tone::Bad, place),
            None => (LOST, Tone::Bad, String::new()),
        }
    };
    Row {
        name,
        outcome,
        tone,
        attempts: stage.gateway.attempts(id),
        place,
    }
}

fn garbage(invalid: &[Message]) -> Row {
    let place = set_aside("invalid", invalid, |_| true);
    Row {
        name: GARBAGE,
        outcome: if place.is_some() { INVALID } else { LOST },
        tone: Tone::Bad,
        attempts: 0,
        place: place.unwrap_or_default(),
    }
}

/// The queue that holds a message which was set aside, and the reason in its header.
fn set_aside(queue: &str, messages: &[Message], which: impl Fn(&MessageId) -> bool) -> Option<String> {
    let queue = format!("{QUEUE}.{queue}");
    let message = messages.iter().find(|message| which(&message.header.id))?;
    let reason = message.header.bag.get(rejection_headers::MESSAGE)?;
    Some(format!("{queue}: {}", reason.as_str().unwrap_or_default()))
}

/// Compares the table with the story.
fn check(stage: &Stage, rows: &[Row]) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    for part in &CAST {
        let expected = match part.trouble {
            Trouble::None | Trouble::Fails(_) => MAILED,
            Trouble::Always => DEAD,
        };
        match rows.iter().find(|row| row.name == part.task_name) {
            Some(row) if row.outcome == expected && row.attempts == part.attempts => {}
            Some(row) => wrong.push(format!(
                "`{}` is {} after {} attempts, and should be {expected} after {}",
                row.name, row.outcome, row.attempts, part.attempts
            )),
            None => wrong.push(format!("`{}` was not posted", part.task_name)),
        }
    }
    if rows
        .iter()
        .any(|row| row.name == GARBAGE && row.outcome != INVALID)
    {
        wrong.push("the garbage was not set aside as invalid".to_owned());
    }
    let mailed = rows.iter().filter(|row| row.outcome == MAILED).count();
    let files = std::fs::read_dir(&stage.mail).map_or(0, Iterator::count);
    if files != mailed {
        wrong.push(format!("the folder holds {files} files for {mailed} mails"));
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "not as the story goes: {}",
            wrong.join("; ")
        ))),
    }
}
