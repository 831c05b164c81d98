//! [`Neighbours`]: the subscriptions of a dispatcher, as one that is checked sees them.

use std::collections::HashMap;

use crate::subscription::SubscriptionSettings;
use brighter_core::message::{ChannelName, SubscriptionName};

/// The subscriptions beside the one that is checked. They are found by a name and never walked over, so that each of
/// thousands is checked as fast as one of two.
pub(super) trait Neighbours {
    /// Returns the subscription of this name.
    fn named(&self, name: &SubscriptionName) -> Option<&SubscriptionSettings>;

    /// Returns the first subscription that reads this channel.
    fn reader_of(&self, channel: &ChannelName) -> Option<&SubscriptionSettings>;
}

/// Subscriptions by their name and by the channel that they read.
#[derive(Debug, Default)]
pub(super) struct SubscriptionIndex<'a> {
    names: HashMap<&'a SubscriptionName, &'a SubscriptionSettings>,
    channels: HashMap<&'a ChannelName, &'a SubscriptionSettings>,
}

impl<'a> SubscriptionIndex<'a> {
    /// Adds a subscription. The first of a name, or of a channel, stays the one that is found.
    pub(super) fn add(&mut self, settings: &'a SubscriptionSettings) {
        self.names.entry(&settings.name).or_insert(settings);
        self.channels.entry(&settings.channel.name).or_insert(settings);
    }
}

impl<'a> FromIterator<&'a SubscriptionSettings> for SubscriptionIndex<'a> {
    fn from_iter<I: IntoIterator<Item = &'a SubscriptionSettings>>(subscriptions: I) -> Self {
        let mut index = Self::default();
        for settings in subscriptions {
            index.add(settings);
        }
        index
    }
}

impl Neighbours for SubscriptionIndex<'_> {
    fn named(&self, name: &SubscriptionName) -> Option<&SubscriptionSettings> {
        self.names.get(name).copied()
    }

    fn reader_of(&self, channel: &ChannelName) -> Option<&SubscriptionSettings> {
        self.channels.get(channel).copied()
    }
}
