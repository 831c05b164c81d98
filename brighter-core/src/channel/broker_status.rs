//! What a broker says of itself.

use std::time::{Duration, SystemTime};

/// Whether a broker can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BrokerStatus {
    /// It can.
    Connected,
    /// It can, and takes no messages for now; consumers go on.
    Blocked {
        /// What it said.
        reason: String,
    },
    /// It can, but confirms nothing although messages wait for it, or does not answer a consumer that gets nothing: it may
    /// be cut off from its peers, or its disk stands still.
    Unconfirmed {
        /// Since when messages have waited without a confirm, or the consumer for its answer.
        since: SystemTime,
    },
    /// It cannot, and is tried again.
    Disconnected {
        /// What the last attempt ended with, without credentials.
        reason: String,
    },
    /// It was closed by this process.
    Closed,
}

/// What a broker asks of the consumers of a channel. `None` where it asks nothing, or does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConsumerBounds {
    /// How long a delivery may stay unsettled before the broker takes the channel for dead.
    pub settle_timeout: Option<Duration>,
    /// How often it delivers one message before it puts it in the dead-letter channel by itself.
    pub deliveries: Option<u32>,
    /// The longest that it lets a message wait before it delivers it again, if that is less than a hundred years.
    pub longest_delay: Option<Duration>,
}

impl ConsumerBounds {
    /// Bounds that ask nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same bounds, with this time to settle a delivery.
    #[must_use]
    pub fn settle_timeout(mut self, time: Duration) -> Self {
        self.settle_timeout = Some(time);
        self
    }

    /// The same bounds, with this many deliveries.
    #[must_use]
    pub fn deliveries(mut self, times: u32) -> Self {
        self.deliveries = Some(times);
        self
    }

    /// The same bounds, with this longest delay.
    #[must_use]
    pub fn longest_delay(mut self, time: Duration) -> Self {
        self.longest_delay = Some(time);
        self
    }
}
