//! [`Failure`]: how the program ends when it does not end well.

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

/// One line for a person, and a code for a program: 2 for a mistake in how it was called, a host's own for how it
/// ended, 1 for the rest.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// Reports an option that this program was built without.
    #[allow(dead_code, reason = "a program with every feature has every option")]
    pub(crate) fn built_without(feature: &str, option: &str) -> Self {
        Self::usage(format!(
            "this program was built without `{option}`; build it with `cargo run -p tasks --features {feature}`"
        ))
    }

    /// It was called wrongly.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: 2,
        }
    }

    /// It did not work.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: 1,
        }
    }

    /// It did not work, for this reason and those behind it.
    pub(crate) fn because(what: &str, error: &dyn Error) -> Self {
        let mut message = what.to_owned();
        let mut cause = Some(error);
        while let Some(error) = cause {
            let said = error.to_string();
            // A transparent error repeats its source's words.
            if !message.ends_with(&said) {
                let _ = write!(message, ": {said}");
            }
            cause = error.source();
        }
        Self::new(message)
    }

    /// The same, with this code.
    pub(crate) fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// Says it, and gives the code.
    pub(crate) fn report(&self) -> ExitCode {
        eprintln!("tasks: {}", self.message);
        ExitCode::from(self.code)
    }
}
