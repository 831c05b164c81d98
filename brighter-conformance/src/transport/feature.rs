//! [`Feature`]: the optional behaviours of transports.

use std::collections::BTreeSet;
use std::fmt;

/// A behaviour beyond the minimum. The minimum is that a published and confirmed message is delivered with every header
/// and every byte, and settled once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Feature {
    /// A channel keeps messages that are published while it has no consumer.
    Retention,
    /// Each of several channels that are bound to a topic gets a copy.
    Copies,
    /// A routing key may be a pattern: `*` stands for one word, `#` for any number of them.
    Patterns,
    /// A message that no channel is bound for is a typed error,
    /// [`PublishError::Unroutable`](brighter_core::channel::PublishError).
    Unroutable,
    /// A channel delivers its messages in the order of their publishing.
    Order,
    /// A consumer has no more unsettled deliveries than its channel's buffer.
    Prefetch,
    /// Several consumers of one channel share its messages.
    CompetingConsumers,
    /// A message may be delivered again after a delay that the broker keeps.
    Delay,
    /// A rejected message goes to the dead-letter or the invalid-message channel.
    DeadLetters,
    /// The broker counts how often it has delivered a message:
    /// [`Delivery::redeliveries`](brighter_core::channel::Delivery::redeliveries).
    RedeliveryCount,
    /// A message that a consumer returns counts as delivered, and not only one whose connection was lost.
    ReleaseCount,
    /// A channel knows how many messages wait in it.
    Depth,
    /// A channel can be declared without a consumer: [`Broker::declare`](brighter_core::channel::Broker::declare).
    Declare,
    /// A channel can be removed: [`Broker::remove`](brighter_core::channel::Broker::remove).
    Remove,
    /// [`single_active_consumer`](brighter_core::channel::ChannelLimits::single_active_consumer) is supported.
    SingleActiveConsumer,
    /// [`time_to_live`](brighter_core::channel::ChannelLimits::time_to_live) is supported.
    TimeToLive,
    /// [`length`](brighter_core::channel::ChannelLimits::length) is supported, and a message for a full channel is
    /// refused.
    LengthLimit,
    /// [`deliveries`](brighter_core::channel::ChannelLimits::deliveries) is supported.
    DeliveryLimit,
    /// [`priorities`](brighter_core::channel::ChannelLimits::priorities) are supported: of the waiting messages, the
    /// one with the highest priority is delivered first.
    Priorities,
    /// A confirmed message outlives the broker that took it: it exists after
    /// [`Harness::connect`](super::Harness::connect) is called again.
    Durable,
    /// A lost connection is opened again: [`Harness::cut`](super::Harness::cut).
    Reconnect,
    /// The server can be restarted: [`Harness::restart`](super::Harness::restart).
    Restart,
    /// The server can stall while it is reachable: [`Harness::stall`](super::Harness::stall). A transport without a
    /// server does not have this feature.
    Stalls,
    /// A registered consumer that receives nothing is noticed while messages wait: see
    /// [`Stall::Deaf`](super::Stall::Deaf).
    DeafConsumer,
    /// Channels can be listed with their waiting messages:
    /// [`Broker::channels`](brighter_core::channel::Broker::channels).
    Listing,
}

impl Feature {
    /// All features.
    pub const ALL: &'static [Self] = &[
        Self::Retention,
        Self::Copies,
        Self::Patterns,
        Self::Unroutable,
        Self::Order,
        Self::Prefetch,
        Self::CompetingConsumers,
        Self::Delay,
        Self::DeadLetters,
        Self::RedeliveryCount,
        Self::ReleaseCount,
        Self::Depth,
        Self::Declare,
        Self::Remove,
        Self::SingleActiveConsumer,
        Self::TimeToLive,
        Self::LengthLimit,
        Self::DeliveryLimit,
        Self::Priorities,
        Self::Durable,
        Self::Reconnect,
        Self::Restart,
        Self::Stalls,
        Self::DeafConsumer,
        Self::Listing,
    ];
}

/// A set of features. Begin with all of them, and remove those that a transport does not have, so that a feature that
/// is added later is checked, and not skipped.
///
/// ```
/// use brighter::testing::conformance::{Feature, Features};
///
/// let features = Features::all().without(Feature::Restart).without(Feature::Depth);
/// assert!(features.has(Feature::Order) && !features.has(Feature::Depth));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Features(BTreeSet<Feature>);

impl Features {
    /// Returns all features.
    #[must_use]
    pub fn all() -> Self {
        Self(Feature::ALL.iter().copied().collect())
    }

    /// Returns an empty set.
    #[must_use]
    pub fn none() -> Self {
        Self(BTreeSet::new())
    }

    /// Adds a feature.
    #[must_use]
    pub fn with(mut self, feature: Feature) -> Self {
        self.0.insert(feature);
        self
    }

    /// Removes a feature.
    #[must_use]
    pub fn without(mut self, feature: Feature) -> Self {
        self.0.remove(&feature);
        self
    }

    /// Returns whether the set has this feature.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        self.0.contains(&feature)
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
