//! [`CommandResult`] and [`CliError`]: how a command ended, and its exit code.

use std::error::Error;
use std::process::ExitCode;

use brighter::BoxError;
use brighter::desk::{DeskError, FilterError, OperateError};
use brighter::outbox::OutboxError;
use serde_json::{Value, json};

use crate::view::View;

/// Whether a command did what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// All of it.
    All,
    /// None of it.
    Failed,
    /// A part of it.
    Partly,
}

impl Done {
    /// Returns the exit code. 2 is a refusal, and 4 is kept for drift.
    pub(crate) fn code(self) -> ExitCode {
        match self {
            Self::All => ExitCode::SUCCESS,
            Self::Failed => ExitCode::from(1),
            Self::Partly => ExitCode::from(3),
        }
    }
}

/// The result of a command, for people and for programs.
#[derive(Debug)]
pub(crate) struct CommandResult {
    pub(crate) view: View,
    pub(crate) json: Value,
    pub(crate) done: Done,
    /// Whether the view is no result, and goes beside it: the command has written its result already.
    pub(crate) aside: bool,
}

impl CommandResult {
    /// Returns the result of a command that did all it was asked for.
    pub(crate) fn new(view: View, json: Value) -> Self {
        Self {
            view,
            json,
            done: Done::All,
            aside: false,
        }
    }
}

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(crate) enum CliError {
    /// A failure on the way.
    Failed(BoxError),
    /// A refusal before anything began: the request makes no sense, or lacks a word that it needs.
    Refused(String),
}

impl CliError {
    /// Returns a failure with this text.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into().into())
    }

    /// Returns a refusal with this text.
    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self::Refused(text.into())
    }

    /// Returns the exit code.
    pub(crate) fn code(&self) -> ExitCode {
        match self {
            Self::Failed(_) => ExitCode::from(1),
            Self::Refused(_) => ExitCode::from(2),
        }
    }

    /// Returns the text, with all causes.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Failed(error) => brighter_core::__private::report(&**error),
            Self::Refused(text) => text.clone(),
        }
    }

    /// Returns the error for a program.
    pub(crate) fn json(&self) -> Value {
        let kind = match self {
            Self::Failed(_) => "failed",
            Self::Refused(_) => "refused",
        };
        json!({ "error": { "kind": kind, "text": self.text() } })
    }
}

impl From<DeskError> for CliError {
    fn from(error: DeskError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<OutboxError> for CliError {
    fn from(error: OutboxError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<FilterError> for CliError {
    fn from(error: FilterError) -> Self {
        Self::Refused(format!("the selection cannot be read: {error}"))
    }
}

impl From<OperateError> for CliError {
    fn from(error: OperateError) -> Self {
        match &error {
            OperateError::Invalid(_) | OperateError::EditsNotAllowed => {
                Self::Refused(brighter_core::__private::report(&error as &dyn Error))
            }
            _ => Self::Failed(error.into()),
        }
    }
}
