//! What becomes of old messages: [`Archive`].

use std::time::Duration;

/// Which messages leave an outbox, and where they go. Those that are outstanding never do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Archive {
    /// Those that were dispatched at least this long ago.
    pub dispatched: Option<Duration>,
    /// Those that died at least this long ago.
    pub dead: Option<Duration>,
    /// Whether they are kept elsewhere, or gone.
    pub keep: bool,
    /// How many at most.
    pub limit: usize,
}

impl Archive {
    /// At most this many of those that were dispatched at least this long ago, which are gone then.
    #[must_use]
    pub fn dispatched(age: Duration, limit: usize) -> Self {
        Self {
            dispatched: Some(age),
            dead: None,
            keep: false,
            limit,
        }
    }

    /// Those as well that died at least this long ago.
    #[must_use]
    pub fn dead(self, age: Duration) -> Self {
        Self {
            dead: Some(age),
            ..self
        }
    }

    /// They are kept elsewhere.
    #[must_use]
    pub fn keep(self) -> Self {
        Self { keep: true, ..self }
    }
}
