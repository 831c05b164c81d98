//! From a reminder to the mail that says it.

use brighter::{Invalid, MessageId};
use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;

use super::MailError;
use crate::message::TaskReminder;

/// Who writes the mails, unless the worker is told otherwise.
pub const DEFAULT_SENDER: &str = "Tasks <tasks@localhost>";

/// The mail of a reminder. The same reminder has the same `Message-ID`, by which a mail server or reader can
/// tell that it has one already.
///
/// # Errors
/// The recipient is no mail address: [`MailError::Never`]. The API accepts none of that sort, but the queue
/// is open to others.
pub fn letter(reminder: &TaskReminder, from: &Mailbox) -> Result<Message, MailError> {
    let never = |what: &str| MailError::Never(Invalid::because(what));
    let to: Mailbox = reminder
        .recipient
        .parse()
        .map_err(|_| never("its recipient is not a mail address"))?;
    let name = file_name(&reminder.id)?;
    Message::builder()
        .message_id(Some(format!("<{name}@{}>", from.email.domain())))
        .from(from.clone())
        .to(to)
        .subject(format!("Reminder: {}", reminder.task_name))
        .header(ContentType::TEXT_PLAIN)
        .body(format!(
            "You asked to be reminded:\r\n\r\n  {}\r\n  due {}\r\n",
            reminder.task_name, reminder.due
        ))
        .map_err(|error| MailError::Never(Invalid::because("no mail can be made of it").caused_by(error)))
}

/// The id as a name for a file. A sender chooses the id, so it must not become a path.
///
/// # Errors
/// It holds something else than letters, digits and hyphens, or is very long.
pub(super) fn file_name(id: &MessageId) -> Result<String, MailError> {
    let name = id.to_string();
    let harmless = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if name.is_empty() || name.len() > 100 || !name.chars().all(harmless) {
        return Err(MailError::Never(Invalid::because(
            "its id cannot name a file: letters, digits and hyphens only, at most 100",
        )));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reminder(id: &str, recipient: &str) -> TaskReminder {
        TaskReminder {
            id: id.into(),
            task_name: "Überweisen\r\nBcc: all@example.com".into(),
            due: "tonight".into(),
            recipient: recipient.into(),
        }
    }

    fn mailed(id: &str, recipient: &str) -> Result<String, MailError> {
        let from = DEFAULT_SENDER.parse().unwrap();
        letter(&reminder(id, recipient), &from).map(|mail| String::from_utf8(mail.formatted()).unwrap())
    }

    #[test]
    fn a_reminder_makes_one_mail_to_one_person() {
        let mail = mailed("r-1", "Ada <ada@example.com>").unwrap();
        assert!(mail.contains("Message-ID: <r-1@localhost>"), "{mail}");
        let (head, _) = mail.split_once("\r\n\r\n").unwrap();
        assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
    }

    #[test]
    fn permanent_mail_failures_say_so() {
        for (id, recipient) in [
            ("r-1", "nobody"),
            ("../../r", "ada@example.com"),
            ("", "ada@example.com"),
        ] {
            assert!(
                matches!(mailed(id, recipient), Err(MailError::Never(_))),
                "{id} {recipient}"
            );
        }
    }
}
