//! [`Narrator`]: prints what happens, line by line.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Prints lines: when, which reminder, where in the pipeline, what. Clones tell the same story.
#[derive(Clone)]
pub(crate) struct Narrator(Arc<Inner>);

struct Inner {
    began: Instant,
    colour: bool,
    /// What a person calls a message, by its id.
    names: Mutex<HashMap<String, String>>,
}

/// The colour of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Trouble,
    Bad,
    Faint,
    Strong,
}

impl Tone {
    /// The ANSI code.
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Good => "32",
            Self::Trouble => "33",
            Self::Bad => "31",
            Self::Faint => "2",
            Self::Strong => "1",
        }
    }
}

impl Narrator {
    pub(crate) fn new() -> Self {
        let colour =
            std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
        Self(Arc::new(Inner {
            began: Instant::now(),
            colour,
            names: Mutex::default(),
        }))
    }

    /// From now on the message of this id is called so.
    pub(crate) fn introduce(&self, id: impl Display, name: &str) {
        let mut names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(id.to_string(), name.to_owned());
    }

    /// What a message is called: its name, or its id before it has one.
    pub(crate) fn name_of(&self, id: &str) -> String {
        let names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(id).map_or(id, String::as_str).to_owned()
    }

    /// Something happened to a reminder.
    pub(crate) fn line(&self, tone: Tone, name: &str, place: &str, text: impl Display) {
        let seconds = self.0.began.elapsed().as_secs_f64();
        let when = self.paint(Tone::Faint, format!("{seconds:6.3}"));
        let text = self.paint(tone, text);
        self.print(format_args!("{when}  {name:<18}  {place:<10}  {text}"));
    }

    /// Text between the lines.
    pub(crate) fn text(&self, text: impl Display) {
        self.print(format_args!("{text}"));
    }

    /// The text in the colour of the tone, where there are colours.
    pub(crate) fn paint(&self, tone: Tone, text: impl Display) -> String {
        if self.0.colour && tone != Tone::Plain {
            format!("\x1b[{}m{text}\x1b[0m", tone.code())
        } else {
            text.to_string()
        }
    }

    /// A reader that is gone, as in `tasks | head`, does not end the story.
    fn print(&self, line: std::fmt::Arguments<'_>) {
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }
}
