//! [`ChannelUsage`]: the messages that wait in a channel, and its consumers.

use crate::message::{ChannelName, RoutingKey};

/// The messages that wait in a channel of a broker, and its consumers: see
/// [`Broker::channels`](super::Broker::channels).
///
/// ```
/// use brighter_core::channel::ChannelUsage;
///
/// let mut usage = ChannelUsage::new("reports");
/// usage.routing_keys.push("Order.Placed".into());
/// usage.waiting = 12;
/// assert!(!usage.is_abandoned(), "it is not known whether anybody consumes it");
/// usage.consumers = Some(0);
/// assert!(usage.is_abandoned());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelUsage {
    /// The name of the channel.
    pub name: ChannelName,
    /// The topics that the channel is bound to. A channel for dead letters or invalid messages has none.
    pub routing_keys: Vec<RoutingKey>,
    /// The number of messages that wait in the channel, without those that wait for a delay.
    pub waiting: u64,
    /// The number of messages that may wait in the channel, if that is limited.
    pub limit: Option<u64>,
    /// The number of consumers in all processes; `None` if the broker does not know it.
    pub consumers: Option<u64>,
}

impl ChannelUsage {
    /// Returns a channel without topics and messages, and with an unknown number of consumers.
    #[must_use]
    pub fn new(name: impl Into<ChannelName>) -> Self {
        Self {
            name: name.into(),
            routing_keys: Vec::new(),
            waiting: 0,
            limit: None,
            consumers: None,
        }
    }

    /// Returns whether the channel holds as many messages as its limit allows.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.waiting >= limit)
    }

    /// Returns whether messages accumulate in the channel and nobody consumes it. The channel has topics, messages
    /// wait, and the broker knows that it has no consumer. The subscriber may only be away for a while. If it is gone
    /// for good, remove the channel with [`Broker::remove`](super::Broker::remove) before it fills up.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        !self.routing_keys.is_empty() && self.waiting > 0 && self.consumers == Some(0)
    }
}
