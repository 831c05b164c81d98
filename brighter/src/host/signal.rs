//! [`Signal`]: what tells a process to end.

use serde::{Deserialize, Serialize};

/// The signal that ended a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Signal {
    /// SIGTERM: an operator, or whatever supervises the process.
    Terminate,
    /// Ctrl-c, which is SIGINT: a person at the terminal.
    Interrupt,
}

impl Signal {
    /// Returns the exit code that a shell shows for a process that the signal killed.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Interrupt => 128 + 2,
            Self::Terminate => 128 + 15,
        }
    }
}
