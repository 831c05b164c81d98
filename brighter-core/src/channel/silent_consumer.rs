//! [`SilentConsumer`]: a process that holds messages of a broker and has not said for some time that it is alive.

use std::time::Duration;

/// A process that holds messages of a broker and has not said for some time that it is alive: see
/// [`Broker::silent_consumers`](super::Broker::silent_consumers). Nobody else gets its messages before its lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SilentConsumer {
    /// The name that the broker has for it.
    pub name: String,
    /// How many messages it holds.
    pub messages: u64,
    /// How long it is until they are delivered to others.
    pub left: Duration,
}

impl SilentConsumer {
    /// Returns a process of this name, which holds so many messages for so long.
    #[must_use]
    pub fn new(name: impl Into<String>, messages: u64, left: Duration) -> Self {
        Self {
            name: name.into(),
            messages,
            left,
        }
    }
}
