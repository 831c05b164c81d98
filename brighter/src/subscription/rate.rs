//! [`Rate`]: so many messages within a time.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// So many messages within a time, spread evenly over it.
///
/// ```
/// use std::time::Duration;
/// use brighter::channel::Rate;
///
/// assert_eq!(Rate::per_second(50).to_string(), "50 within 1s");
/// assert_eq!(Rate::new(6, Duration::from_secs(60)).interval(), Duration::from_secs(10));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    messages: u32,
    within: Duration,
}

impl Rate {
    /// At most this many messages (0 is taken for 1) within this time.
    #[must_use]
    pub const fn new(messages: u32, within: Duration) -> Self {
        let messages = if messages == 0 { 1 } else { messages };
        Self { messages, within }
    }

    /// At most this many messages (0 is taken for 1) a second.
    #[must_use]
    pub const fn per_second(messages: u32) -> Self {
        Self::new(messages, Duration::from_secs(1))
    }

    /// The time from one message to the next.
    #[must_use]
    pub fn interval(self) -> Duration {
        // One that was read from outside may say 0.
        self.within / self.messages.max(1)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} within {:?}", self.messages, self.within)
    }
}
