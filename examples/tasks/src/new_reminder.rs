//! [`NewReminder`]: what a client posts, before it is known to be any good.

use brighter::MessageId;
use lettre::message::Mailbox;
use serde::Deserialize;

use crate::message::TaskReminder;

/// A reminder as a client writes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewReminder {
    /// What is to be done.
    pub task_name: String,
    /// By when.
    pub due: String,
    /// Whom to remind.
    pub recipient: String,
}

/// Why a reminder is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidReminder {
    /// A field says nothing.
    #[error("`{field}` is empty")]
    Empty {
        /// Which.
        field: &'static str,
    },
    /// A field is longer than a subject line should be.
    #[error("`{field}` has {chars} characters; at most {LONGEST} are accepted")]
    TooLong {
        /// Which.
        field: &'static str,
        /// How long it is.
        chars: usize,
    },
    /// A field holds a line break or another control character, which has no place in a mail's header.
    #[error("`{field}` holds a control character, such as a line break")]
    Control {
        /// Which.
        field: &'static str,
    },
    /// The recipient is no mail address.
    #[error("`recipient` is not a mail address: write `ada@example.com` or `Ada Lovelace <ada@example.com>`")]
    Recipient,
}

impl InvalidReminder {
    /// The field that is at fault.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::Empty { field } | Self::TooLong { field, .. } | Self::Control { field } => field,
            Self::Recipient => "recipient",
        }
    }
}

/// The most characters of a field.
const LONGEST: usize = 200;

impl NewReminder {
    /// The reminder that this describes, with an id of its own.
    ///
    /// What passes here can be mailed as far as anyone can tell without asking a mail server, so that a
    /// mistake is told to who made it, and not to the worker an hour later.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn accept(self) -> Result<TaskReminder, InvalidReminder> {
        check("task_name", &self.task_name)?;
        check("due", &self.due)?;
        check("recipient", &self.recipient)?;
        if self.recipient.parse::<Mailbox>().is_err() {
            return Err(InvalidReminder::Recipient);
        }
        Ok(TaskReminder {
            id: MessageId::new(),
            task_name: self.task_name,
            due: self.due,
            recipient: self.recipient,
        })
    }
}

fn check(field: &'static str, text: &str) -> Result<(), InvalidReminder> {
    let chars = text.chars().count();
    if text.trim().is_empty() {
        Err(InvalidReminder::Empty { field })
    } else if chars > LONGEST {
        Err(InvalidReminder::TooLong { field, chars })
    } else if text.chars().any(char::is_control) {
        Err(InvalidReminder::Control { field })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reminder(task_name: &str, due: &str, recipient: &str) -> Result<TaskReminder, InvalidReminder> {
        let [task_name, due, recipient] = [task_name, due, recipient].map(str::to_owned);
        NewReminder {
            task_name,
            due,
            recipient,
        }
        .accept()
    }

    #[test]
    fn valid_reminders_are_accepted() {
        for recipient in [
            "ada@example.com",
            "Ada Lovelace <ada@example.com>",
            "ünï@example.com",
        ] {
            let accepted = reminder("Water the plants", "tonight", recipient).unwrap();
            assert_eq!(accepted.recipient, recipient);
        }
    }

    #[test]
    fn invalid_reminders_name_their_field() {
        for (task_name, due, recipient, field) in [
            ("", "now", "ada@example.com", "task_name"),
            (" ", "now", "ada@example.com", "task_name"),
            (
                "Pay\r\nBcc: all@example.com",
                "now",
                "ada@example.com",
                "task_name",
            ),
            ("Pay", "", "ada@example.com", "due"),
            ("Pay", &"x".repeat(201), "ada@example.com", "due"),
            ("Pay", "now", "", "recipient"),
            ("Pay", "now", "ada", "recipient"),
            ("Pay", "now", "ada@", "recipient"),
            ("Pay", "now", "a@example.com, b@example.com", "recipient"),
        ] {
            let refused = reminder(task_name, due, recipient).unwrap_err();
            assert_eq!(refused.field(), field, "{refused}");
        }
    }
}
