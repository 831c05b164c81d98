//! [`SmtpServer`]: mails to a server that sends them on.

use brighter::Reject;
use lettre::message::Mailbox;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::letter::letter;
use super::{MailError, MailGateway, Sending};
use crate::message::TaskReminder;

/// A mail server, by its URL.
pub struct SmtpServer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// The URL is none of a mail server. What was given is not repeated: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the SMTP URL is wrong: it must look like `smtps://user:password@host:465`, `smtp://user:password@host:587?tls=required` or, without a password, `smtp://localhost:25`, with special characters escaped as in `%40` for `@`"
)]
#[non_exhaustive]
pub struct SmtpUrlError;

impl SmtpServer {
    /// Mails from this sender through this server. Nothing is connected yet.
    ///
    /// # Errors
    /// The URL is none of a mail server.
    pub fn new(url: &str, from: Mailbox) -> Result<Self, SmtpUrlError> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|_| SmtpUrlError)?
            .build();
        Ok(Self { transport, from })
    }
}

impl MailGateway for SmtpServer {
    fn send<'a>(&'a self, reminder: &'a TaskReminder) -> Sending<'a> {
        Box::pin(async move {
            let mail = letter(reminder, &self.from)?;
            match self.transport.send(mail).await {
                Ok(_) => Ok(()),
                // The server understood, and said no for good (5xx): asking again is rude.
                Err(error) if error.is_permanent() => Err(MailError::Never(
                    Reject::because("the mail server refused it").caused_by(error),
                )),
                Err(error) => Err(MailError::because("the mail server did not take it", error)),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_url_is_checked_and_never_repeated() {
        let new = |url| SmtpServer::new(url, super::super::DEFAULT_SENDER.parse().unwrap());
        for url in [
            "smtp://localhost:2525",
            "smtps://u:p@example.com",
            "smtp://u:p@example.com?tls=required",
        ] {
            assert!(new(url).is_ok(), "{url}");
        }
        for url in [
            "",
            "localhost",
            "http://u:secret@example.com",
            "smtp://u:secret@example.com:x",
        ] {
            let error = new(url).err().unwrap();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
