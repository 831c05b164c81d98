//! What a subscription must be to be dispatched, checked in one place for `build()` and for one that is added later.

use std::time::Duration;

use super::circle::way_back;
use super::neighbours::Neighbours;
use super::registered::Registered;
use super::requests::{RequestInfo, Requests, Routing};
use crate::pipeline::BatchLimits;
use crate::processor::{BuildError, CommandProcessor};
use crate::subscription::{Subscription, SubscriptionSettings, batch_problem, budget, remembers_too_little};
use brighter_core::channel::Broker;

/// The application that a subscription has to fit.
pub(super) struct BuildContext<'a> {
    pub(super) broker: Option<&'a dyn Broker>,
    /// How long handlers have to finish when the dispatcher ends.
    pub(super) drain: Duration,
}

/// A subscription that is still to be checked.
pub(super) struct UncheckedSubscription {
    pub(super) settings: SubscriptionSettings,
    routing: Routing,
    /// The shortest time for which it is remembered that one of its requests was handled.
    remembered: Option<Duration>,
    /// The handlers that handle several of its messages in one call.
    batches: Vec<(&'static str, BatchLimits)>,
}

impl UncheckedSubscription {
    pub(super) fn new<R: Requests>(processor: &CommandProcessor, subscription: Subscription<R>) -> Self {
        let (settings, mut keys) = subscription.into_parts();
        let routing = R::routing(processor, &mut keys);
        let requests = routing.requests.iter();
        let remembered = requests
            .filter_map(|brought| processor.remembers(brought.request))
            .min();
        let requests = routing.requests.iter();
        let batches = requests
            .flat_map(|brought| processor.batches_of(brought.request))
            .collect();
        Self {
            settings,
            routing,
            remembered,
            batches,
        }
    }

    pub(super) fn register(self) -> Registered {
        Registered::new(self.settings, self.routing.route, !self.batches.is_empty())
    }

    /// Adds everything that is wrong with it, beside these that are there already.
    pub(super) fn check(
        &self,
        others: &impl Neighbours,
        terms: &BuildContext<'_>,
        errors: &mut Vec<BuildError>,
    ) {
        let settings = &self.settings;
        let subscription = &settings.name;
        let name = settings.name.validate();
        if let Err(source) = name.and_then(|()| settings.channel.validate()) {
            errors.push(BuildError::Name {
                subscription: subscription.clone(),
                source,
            });
        }
        if settings.channel.routing_keys.is_empty() {
            errors.push(BuildError::NoRoutingKey {
                subscription: subscription.clone(),
            });
        }
        for brought in &self.routing.requests {
            if brought.handlers.is_empty() {
                errors.push(BuildError::NoHandler {
                    subscription: subscription.clone(),
                    request: brought.request,
                });
            }
        }
        let brought = &self.routing.requests;
        for (index, one) in brought.iter().enumerate() {
            let alike = |other: &&RequestInfo| other.event_type == one.event_type;
            if let Some(other) = brought[..index].iter().find(alike) {
                errors.push(BuildError::SameType {
                    subscription: subscription.clone(),
                    event_type: one.event_type,
                    first: other.request,
                    second: one.request,
                });
            }
        }
        let part = format_args!("the subscription `{subscription}`");
        errors.extend(BuildError::settings(part, settings.invalid()));
        if settings.ordered && settings.performers_at_most > 1 {
            errors.push(BuildError::OrderWithPerformers {
                subscription: subscription.clone(),
                performers: settings.performers_at_most,
            });
        }
        for (handler, limits) in &self.batches {
            let problem = batch_problem(settings, limits).into_iter();
            errors.extend(problem.map(|source| BuildError::Batch {
                subscription: subscription.clone(),
                handler,
                source,
            }));
        }
        let bounds = terms.broker.map(|broker| broker.bounds(&settings.channel));
        for source in budget(settings, bounds.unwrap_or_default(), terms.drain) {
            errors.push(BuildError::Budget {
                subscription: subscription.clone(),
                source,
            });
        }
        if let Some(source) = self
            .remembered
            .and_then(|remembered| remembers_too_little(settings, remembered))
        {
            errors.push(BuildError::Budget {
                subscription: subscription.clone(),
                source,
            });
        }
        if let Some(channels) = way_back(settings, others) {
            errors.push(BuildError::SetAsideInCircles {
                subscription: subscription.clone(),
                channels,
            });
        }
        if others.named(subscription).is_some() {
            errors.push(BuildError::SameName {
                subscription: subscription.clone(),
            });
        } else if let Some(other) = others.reader_of(&settings.channel.name) {
            errors.push(BuildError::SameChannel {
                channel: settings.channel.name.clone(),
                first: other.name.clone(),
                second: subscription.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use super::super::neighbours::SubscriptionIndex;
    use super::super::selector::Selector;
    use super::*;
    use brighter_core::channel::Channel;
    use brighter_core::message::{ChannelName, SubscriptionName};

    fn unchecked(number: usize) -> UncheckedSubscription {
        let name = format!("orders-{number}");
        let channel = Channel::new(name.as_str(), "Order");
        UncheckedSubscription {
            settings: SubscriptionSettings::new(name.as_str().into(), channel),
            routing: Routing {
                route: Arc::new(Selector::new(Vec::new())),
                requests: Vec::new(),
            },
            batches: Vec::new(),
            remembered: None,
        }
    }

    /// Counts what is asked of it.
    struct Counted<'a> {
        index: SubscriptionIndex<'a>,
        asked: Cell<usize>,
    }

    impl Neighbours for Counted<'_> {
        fn named(&self, name: &SubscriptionName) -> Option<&SubscriptionSettings> {
            self.asked.set(self.asked.get() + 1);
            self.index.named(name)
        }

        fn reader_of(&self, channel: &ChannelName) -> Option<&SubscriptionSettings> {
            self.asked.set(self.asked.get() + 1);
            self.index.reader_of(channel)
        }
    }

    fn asked_for(subscriptions: usize) -> usize {
        let all: Vec<_> = (0..subscriptions).map(unchecked).collect();
        let mut before = Counted {
            index: SubscriptionIndex::default(),
            asked: Cell::new(0),
        };
        let context = BuildContext {
            broker: None,
            drain: Duration::from_secs(20),
        };
        let mut errors = Vec::new();
        for one in &all {
            one.check(&before, &context, &mut errors);
            before.index.add(&one.settings);
        }
        assert!(errors.is_empty(), "{errors:?}");
        before.asked.get()
    }

    #[test]
    fn checking_a_subscription_costs_the_same_beside_thousands() {
        let (few, many) = (asked_for(1_000), asked_for(4_000));
        assert!(few > 0);
        assert_eq!(many, 4 * few, "{few} questions for 1,000 subscriptions");
    }

    #[test]
    fn a_second_name_or_channel_is_refused_beside_the_first() {
        let (first, second) = (unchecked(1), unchecked(1));
        let mut third = unchecked(2);
        third.settings.channel = Channel::new("orders-1", "Order");
        let mut before = SubscriptionIndex::default();
        let context = BuildContext {
            broker: None,
            drain: Duration::from_secs(20),
        };
        let mut errors = Vec::new();
        for one in [&first, &second, &third] {
            one.check(&before, &context, &mut errors);
            before.add(&one.settings);
        }
        let [
            BuildError::SameName { subscription },
            BuildError::SameChannel { first, second, .. },
        ] = &errors[..]
        else {
            panic!("{errors:?}");
        };
        assert_eq!(subscription.as_str(), "orders-1");
        assert_eq!((first.as_str(), second.as_str()), ("orders-1", "orders-2"));
    }
}
