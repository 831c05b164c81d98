//! [`MailGateway`]: what the handler needs of the world, and the two ways to have it: a [`MailFolder`], and
//! an `SmtpServer` (feature `smtp`).

mod folder;
mod letter;
#[cfg(feature = "smtp")]
mod smtp;

use std::pin::Pin;

use brighter::BoxError;
use brighter::error::PumpAction;

pub use folder::MailFolder;
pub use letter::{DEFAULT_SENDER, letter};
#[cfg(feature = "smtp")]
pub use smtp::{SmtpServer, SmtpUrlError};

use crate::message::TaskReminder;

/// A mail on its way.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), MailError>> + Send + 'a>>;

/// Sends reminders as mails.
///
/// A reminder may be delivered twice, by any broker: the worker may die when the mail is sent and the message
/// is not yet acknowledged. So the same reminder must make the same mail.
pub trait MailGateway: Send + Sync + 'static {
    /// Sends one.
    fn send<'a>(&'a self, reminder: &'a TaskReminder) -> Sending<'a>;
}

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MailError {
    /// It may work another time: retried, and delivered again.
    #[error("{what}")]
    Temporary {
        /// What happened.
        what: String,
        /// Why.
        #[source]
        source: Option<BoxError>,
    },
    /// It will never work. The action inside tells the pump to set the message aside at once; wrapped in this
    /// error it counts just as if the handler had returned it bare.
    #[error("this reminder cannot be mailed")]
    Never(#[source] PumpAction),
}

impl MailError {
    /// It may work another time.
    pub fn temporary(what: impl Into<String>) -> Self {
        Self::Temporary {
            what: what.into(),
            source: None,
        }
    }

    /// It may work another time; this is why it did not.
    pub fn because(what: impl Into<String>, source: impl Into<BoxError>) -> Self {
        Self::Temporary {
            what: what.into(),
            source: Some(source.into()),
        }
    }
}
