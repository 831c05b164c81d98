//! [`Rate`]: so many messages within a time.

use std::fmt;
use std::time::Duration;

use brighter_core::error::InvalidSetting;
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
    /// At most this many messages within this time.
    #[must_use]
    pub const fn new(messages: u32, within: Duration) -> Self {
        Self { messages, within }
    }

    /// At most this many messages a second.
    #[must_use]
    pub const fn per_second(messages: u32) -> Self {
        Self::new(messages, Duration::from_secs(1))
    }

    /// The time from one message to the next.
    #[must_use]
    pub fn interval(self) -> Duration {
        // A rate of no messages is refused where it is set; until then the division is defined.
        self.within / self.messages.max(1)
    }

    /// Returns an error unless it lets at least one message through.
    pub(crate) fn invalid(self) -> Option<InvalidSetting> {
        InvalidSetting::if_zero("rate", self.messages)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} within {:?}", self.messages, self.within)
    }
}
