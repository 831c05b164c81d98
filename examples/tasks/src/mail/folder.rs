//! [`MailFolder`]: mails as files.

use std::io::Write;
use std::path::{Path, PathBuf};

use lettre::message::Mailbox;

use super::letter::{file_name, letter};
use super::{MailError, MailGateway, Sending};
use crate::message::TaskReminder;

/// A folder of `.eml` files, one for each reminder, which any mail program opens.
///
/// lettre has such a transport of its own, but names every file anew; here the name is the reminder's id, so
/// that a reminder that is delivered twice still makes one file.
#[derive(Debug, Clone)]
pub struct MailFolder {
    folder: PathBuf,
    from: Mailbox,
}

impl MailFolder {
    /// Mails from this sender, in this folder, which is made if it is missing.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(folder: impl Into<PathBuf>, from: Mailbox) -> std::io::Result<Self> {
        let folder = folder.into();
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder, from })
    }

    /// Where the mail of a reminder is, or will be.
    ///
    /// # Errors
    /// Its id cannot name a file.
    pub fn path_of(&self, reminder: &TaskReminder) -> Result<PathBuf, MailError> {
        Ok(self.folder.join(format!("{}.eml", file_name(&reminder.id)?)))
    }
}

impl MailGateway for MailFolder {
    fn send<'a>(&'a self, reminder: &'a TaskReminder) -> Sending<'a> {
        Box::pin(async move {
            let path = self.path_of(reminder)?;
            let mail = letter(reminder, &self.from)?.formatted();
            let folder = self.folder.clone();
            tokio::task::spawn_blocking(move || write_whole(&folder, &path, &mail))
                .await
                .map_err(|error| MailError::because("the mail could not be written", error))?
                .map_err(|error| MailError::because("the mail could not be written to its folder", error))
        })
    }
}

/// Writes a file that is either there as a whole or not at all, and that is on the disk when this returns:
/// the message is acknowledged next. A worker that is killed here leaves a hidden draft behind.
fn write_whole(folder: &Path, path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut draft = tempfile::Builder::new().prefix(".draft-").tempfile_in(folder)?;
    draft.write_all(content)?;
    draft.as_file().sync_all()?;
    draft.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::DEFAULT_SENDER;
    use super::*;

    #[tokio::test]
    async fn a_reminder_that_comes_twice_makes_one_file() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("mail");
        let mail = MailFolder::open(&folder, DEFAULT_SENDER.parse().unwrap()).unwrap();
        let reminder = TaskReminder {
            id: "r-1".into(),
            task_name: "Water the plants".into(),
            due: "tonight".into(),
            recipient: "ada@example.com".into(),
        };
        mail.send(&reminder).await.unwrap();
        mail.send(&reminder).await.unwrap();
        let files: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(files, ["r-1.eml"]);
    }
}
