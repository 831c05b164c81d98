//! [`Feature`]: what one transport has and another has not.

use std::collections::BTreeSet;
use std::fmt;

/// What a transport has beyond the least, which is: what was published and confirmed is delivered, to be settled
/// once, with every header and every byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Feature {
    /// A channel that exists keeps what is published while nobody consumes it.
    Retention,
    /// Each of several channels that want a topic gets a copy.
    Copies,
    /// A routing key may be a pattern: `*` stands for one word, `#` for any number of them.
    Patterns,
    /// What no channel wants is a typed error, [`PublishError::Unroutable`](brighter_core::channel::PublishError).
    Unroutable,
    /// A channel gives out its messages in the order in which they were published.
    Order,
    /// A consumer has no more unsettled deliveries than its channel's buffer.
    Prefetch,
    /// Several consumers of one channel share its messages.
    CompetingConsumers,
    /// A message may come again after a delay that the broker keeps.
    Delay,
    /// What is rejected goes to the channel for dead letters, or to that for invalid messages.
    DeadLetters,
    /// The broker counts how often it has delivered a message:
    /// [`Delivery::redeliveries`](brighter_core::channel::Delivery::redeliveries).
    RedeliveryCount,
    /// What a consumer gives back counts as delivered, and not only what it had when its connection was lost.
    ReleaseCount,
    /// A channel can tell how many messages wait in it.
    Depth,
    /// A channel can be made without a consumer: [`Broker::declare`](brighter_core::channel::Broker::declare).
    Declare,
    /// A channel can be removed: [`Broker::remove`](brighter_core::channel::Broker::remove).
    Remove,
    /// [`single_active_consumer`](brighter_core::channel::ChannelLimits::single_active_consumer) is kept.
    SingleActiveConsumer,
    /// [`time_to_live`](brighter_core::channel::ChannelLimits::time_to_live) is kept.
    TimeToLive,
    /// [`length`](brighter_core::channel::ChannelLimits::length) is kept, and what finds the channel full is refused.
    LengthLimit,
    /// [`deliveries`](brighter_core::channel::ChannelLimits::deliveries) is kept.
    DeliveryLimit,
    /// [`priorities`](brighter_core::channel::ChannelLimits::priorities) are kept: of the messages that wait, one with a
    /// higher priority comes first.
    Priorities,
    /// What was confirmed outlives the broker that took it: it is there after
    /// [`Harness::connect`](super::Harness::connect) has been called again.
    Durable,
    /// A connection may be lost, and is found again: [`Harness::cut`](super::Harness::cut).
    Reconnect,
    /// The server may be restarted: [`Harness::restart`](super::Harness::restart).
    Restart,
    /// The server may be there and do nothing: [`Harness::stall`](super::Harness::stall). A transport without a server
    /// does not have it.
    Stalls,
    /// A consumer that is registered and gets nothing is noticed while messages wait: see
    /// [`Stall::Deaf`](super::Stall::Deaf).
    DeafConsumer,
    /// Channels can be listed, with what waits in them: [`Broker::channels`](brighter_core::channel::Broker::channels).
    Listing,
}

impl Feature {
    /// Every feature there is.
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

/// A set of features. It is best to begin with all of them, and to say which a transport does not have: one that
/// is new here is then looked at, and not passed over.
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
    /// Every feature there is.
    #[must_use]
    pub fn all() -> Self {
        Self(Feature::ALL.iter().copied().collect())
    }

    /// None.
    #[must_use]
    pub fn none() -> Self {
        Self(BTreeSet::new())
    }

    /// The same, and this one.
    #[must_use]
    pub fn with(mut self, feature: Feature) -> Self {
        self.0.insert(feature);
        self
    }

    /// The same, but for this one.
    #[must_use]
    pub fn without(mut self, feature: Feature) -> Self {
        self.0.remove(&feature);
        self
    }

    /// Whether this one is among them.
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
