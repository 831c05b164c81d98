//! What can go wrong with a private broker. It is for people, so it carries a sentence.

use std::fmt;

/// What was being done, and what came of it.
#[derive(Debug)]
pub struct Error(String);

pub(crate) type Result<T = (), E = Error> = std::result::Result<T, E>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

pub(crate) fn failed(text: impl fmt::Display) -> Error {
    Error(text.to_string())
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
