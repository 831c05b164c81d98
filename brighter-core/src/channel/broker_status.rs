//! [`BrokerStatus`] and [`ConsumerBounds`]: the state of a broker, and its limits for consumers.

use std::time::{Duration, SystemTime};

/// The state of the connection to a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BrokerStatus {
    /// The broker can be reached.
    Connected,
    /// The broker can be reached and blocks publishing for now. Consumers go on.
    Blocked {
        /// The reason that the broker gave.
        reason: String,
    },
    /// The broker can be reached, but confirms nothing although messages wait for confirms, or does not answer a consumer
    /// that receives nothing. It may be cut off from its peers, or its disk may hang.
    Unconfirmed {
        /// Since when messages have waited without a confirm, or the consumer for its answer.
        since: SystemTime,
    },
    /// The broker cannot be reached, and this process keeps trying to connect.
    Disconnected {
        /// The error of the last attempt, without credentials.
        reason: String,
    },
    /// This process closed the broker.
    Closed,
}

/// The limits that a broker sets for the consumers of a channel. A field is `None` if there is no limit, or if the
/// limit is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConsumerBounds {
    /// The time that a delivery may stay unsettled before the broker closes its channel.
    pub settle_timeout: Option<Duration>,
    /// The number of deliveries after which the broker itself dead-letters a message.
    pub deliveries: Option<u32>,
    /// The longest delay before a redelivery, if it is less than a hundred years.
    pub longest_delay: Option<Duration>,
}

impl ConsumerBounds {
    /// Returns bounds without any limit.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the time to settle a delivery.
    #[must_use]
    pub fn settle_timeout(mut self, time: Duration) -> Self {
        self.settle_timeout = Some(time);
        self
    }

    /// Sets the number of deliveries after which a message is dead-lettered.
    #[must_use]
    pub fn deliveries(mut self, times: u32) -> Self {
        self.deliveries = Some(times);
        self
    }

    /// Sets the longest delay before a redelivery.
    #[must_use]
    pub fn longest_delay(mut self, time: Duration) -> Self {
        self.longest_delay = Some(time);
        self
    }
}
