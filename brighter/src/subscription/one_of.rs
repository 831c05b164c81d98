//! [`OneOf`]: the requests of a subscription that brings more than one type.

use std::hash::Hash;
use std::marker::PhantomData;

use super::{Subscription, SubscriptionSettings};
use brighter_core::channel::Channel;
use brighter_core::mapper::Postable;
use brighter_core::message::SubscriptionName;

/// In the place of one request: several, each a pair of itself and those named before it.
#[derive(Debug)]
pub struct OneOf<L = ()>(PhantomData<fn() -> L>);

/// Several types of requests on one channel.
impl Subscription<OneOf> {
    /// A subscription of this name to several types of requests, which are told apart by the type of their
    /// messages (`#[message(type = "…")]`, CloudEvents' `type`), or by the topic where a message has none. A
    /// message of another type is set aside as invalid.
    ///
    /// The types that are named bring their topics; [`routing_keys`](Self::routing_keys), said after them, wants
    /// others in their place.
    ///
    /// ```
    /// # use brighter::prelude::*;
    /// # #[derive(Serialize, Deserialize, Message)]
    /// # #[message(topic = "Task.Created", kind = "event")]
    /// # struct TaskCreated;
    /// # #[derive(Serialize, Deserialize, Message)]
    /// # #[message(topic = "Task.Done", kind = "event")]
    /// # struct TaskDone;
    /// let subscription = Subscription::one_of("task-events")
    ///     .request::<TaskCreated>()
    ///     .request::<TaskDone>()
    ///     .buffer(50);
    /// # assert_eq!(subscription.settings().channel.routing_keys.len(), 2);
    /// ```
    #[must_use]
    pub fn one_of(name: impl Into<SubscriptionName>) -> Self {
        let name = name.into();
        let mut channel = Channel::new(name.as_str(), "");
        channel.routing_keys.clear();
        Self::from_settings(SubscriptionSettings::new(name, channel))
    }
}

impl<L> Subscription<OneOf<L>> {
    /// Brings requests of type `R` too.
    #[must_use]
    pub fn request<R: Postable>(mut self) -> Subscription<OneOf<(R, L)>> {
        let topics = &mut self.settings.channel.routing_keys;
        if !topics.iter().any(|topic| topic == R::TOPIC) {
            topics.push(R::TOPIC.into());
        }
        self.of_others()
    }

    /// Brings requests of type `R` too, those of one key in the order in which they came: see
    /// [`ordered_by`](Subscription::ordered_by). Different types that have equal keys stay in order too, if the
    /// keys are of one type.
    #[must_use]
    pub fn request_ordered_by<R, K>(
        self,
        key: impl Fn(&R) -> K + Send + Sync + 'static,
    ) -> Subscription<OneOf<(R, L)>>
    where
        R: Postable,
        K: Hash,
    {
        let mut subscription = self.request::<R>();
        subscription.keep_order(key);
        subscription
    }
}
