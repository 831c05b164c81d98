//! [`TroubledGateway`]: a mail gateway that fails as the story wants it to.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use brighter::MessageId;
use tasks::TaskReminder;
use tasks::mail::{MailError, MailFolder, MailGateway, Sending};

use super::narrator::{Narrator, Tone};

/// What happens when a reminder is mailed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is mailed.
    None,
    /// The mail server hangs up this often, and then takes it.
    Fails(u32),
    /// The mail server never answers.
    Always,
}

/// How long it takes to notice that the mail server does not answer.
const SILENCE: Duration = Duration::from_millis(60);

/// Mails to a folder, unless there is trouble.
pub(super) struct TroubledGateway {
    folder: MailFolder,
    narrator: Narrator,
    troubles: HashMap<&'static str, Trouble>,
    attempts: Mutex<HashMap<MessageId, u32>>,
}

impl TroubledGateway {
    pub(super) fn new(
        folder: MailFolder,
        narrator: Narrator,
        troubles: impl IntoIterator<Item = (&'static str, Trouble)>,
    ) -> Self {
        Self {
            folder,
            narrator,
            troubles: troubles.into_iter().collect(),
            attempts: Mutex::default(),
        }
    }

    /// How often the handler has tried to mail this reminder.
    pub(super) fn attempts(&self, id: &MessageId) -> u32 {
        let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.get(id).copied().unwrap_or_default()
    }

    fn count(&self, id: &MessageId) -> u32 {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = attempts.entry(id.clone()).or_default();
        *count += 1;
        *count
    }
}

impl MailGateway for TroubledGateway {
    fn send<'a>(&'a self, reminder: &'a TaskReminder) -> Sending<'a> {
        Box::pin(async move {
            let name = reminder.task_name.as_str();
            let attempt = self.count(&reminder.id);
            let error = match self.troubles.get(name).copied().unwrap_or(Trouble::None) {
                Trouble::Fails(times) if attempt <= times => MailError::temporary("the mail server hung up"),
                Trouble::Always => {
                    tokio::time::sleep(SILENCE).await;
                    MailError::temporary("the mail server does not answer")
                }
                Trouble::None | Trouble::Fails(_) => {
                    self.folder.send(reminder).await?;
                    let to = &reminder.recipient;
                    self.narrator
                        .line(Tone::Good, name, "handler", format_args!("mailed to {to}"));
                    return Ok(());
                }
            };
            self.narrator.line(
                Tone::Trouble,
                name,
                "handler",
                format_args!("attempt {attempt}: {error}"),
            );
            Err(error)
        })
    }
}
