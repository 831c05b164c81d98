//! What can go wrong in a command, and the exit code it ends with.

use std::fmt;
use std::process::ExitCode;

/// The one error of this crate: commands are for people, so it carries a sentence rather than a source chain.
#[derive(Debug)]
pub(crate) enum Error {
    /// The command line makes no sense; exit code 2.
    Usage(String),
    /// Something was tried and failed; exit code 1.
    Failed(String),
    /// Ctrl-c, or the signal that a CI runner sends; exit code 130, as a shell has it.
    Stopped,
}

/// What every command returns.
pub(crate) type Result<T = ()> = std::result::Result<T, Error>;

impl Error {
    /// The exit code for this error.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Error::Failed(_) => ExitCode::from(1),
            Error::Usage(_) => ExitCode::from(2),
            Error::Stopped => ExitCode::from(130),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(text) | Error::Failed(text) => f.write_str(text),
            Error::Stopped => f.write_str("stopped by a signal"),
        }
    }
}

impl From<private_rabbitmq::Error> for Error {
    fn from(error: private_rabbitmq::Error) -> Self {
        failed(error)
    }
}

/// Builds an [`Error::Failed`] from anything that can be shown.
pub(crate) fn failed(text: impl fmt::Display) -> Error {
    Error::Failed(text.to_string())
}

/// Says what was being done when an error came.
pub(crate) trait Doing<T> {
    /// `what` completes "could not …".
    fn doing(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| failed(format_args!("could not {what}: {error}")))
    }
}
