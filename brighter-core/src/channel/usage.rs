//! [`ChannelUsage`]: what waits in a channel, and whether anybody consumes it.

use crate::message::{ChannelName, RoutingKey};

/// What waits in a channel of a broker, and whether anybody consumes it: see [`Broker::channels`](super::Broker::channels).
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
    /// The channel.
    pub name: ChannelName,
    /// The topics that it wants. A channel for dead letters or invalid messages wants none.
    pub routing_keys: Vec<RoutingKey>,
    /// How many messages wait in it. Those that wait for a delay do not count.
    pub waiting: u64,
    /// How many messages may wait in it, if that is limited.
    pub limit: Option<u64>,
    /// How many consumers it has, in whichever process; `None` where the broker cannot tell.
    pub consumers: Option<u64>,
}

impl ChannelUsage {
    /// Returns a channel that wants nothing, in which nothing waits, and of which nothing else is known.
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

    /// Returns whether the channel holds as many messages as it may.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.waiting >= limit)
    }

    /// Returns whether messages gather in the channel and nobody consumes it: it wants topics, messages wait, and the
    /// broker knows that it has no consumer. Its subscriber may only be away for a while; one that went for good leaves
    /// a channel that fills up, and is removed by [`Broker::remove`](super::Broker::remove).
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        !self.routing_keys.is_empty() && self.waiting > 0 && self.consumers == Some(0)
    }
}
