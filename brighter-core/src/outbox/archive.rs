//! [`Archive`]: which old messages leave an outbox.

use std::time::Duration;

/// Selects the messages that leave an outbox, and whether they are kept elsewhere. Outstanding messages always stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Archive {
    /// Takes messages that were dispatched at least this long ago.
    pub dispatched: Option<Duration>,
    /// Takes messages that became dead at least this long ago.
    pub dead: Option<Duration>,
    /// Whether the messages are kept elsewhere rather than deleted.
    pub keep: bool,
    /// The largest number of messages to take.
    pub limit: usize,
}

impl Archive {
    /// Deletes up to `limit` messages that were dispatched at least `age` ago.
    #[must_use]
    pub fn dispatched(age: Duration, limit: usize) -> Self {
        Self {
            dispatched: Some(age),
            dead: None,
            keep: false,
            limit,
        }
    }

    /// Takes also messages that became dead at least `age` ago.
    #[must_use]
    pub fn dead(self, age: Duration) -> Self {
        Self {
            dead: Some(age),
            ..self
        }
    }

    /// Keeps the messages elsewhere rather than deleting them.
    #[must_use]
    pub fn keep(self) -> Self {
        Self { keep: true, ..self }
    }
}
