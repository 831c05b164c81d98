//! What a subscription must be to be dispatched, checked in one place for `build()` and for one that is added later.

use std::time::Duration;

use super::circle::way_back;
use super::registered::Registered;
use super::requests::{RequestInfo, Requests, Routing};
use crate::pipeline::BatchLimits;
use crate::processor::{BuildError, CommandProcessor};
use crate::subscription::{Subscription, SubscriptionSettings, batch_problem, budget, remembers_too_little};
use brighter_core::channel::Broker;

/// What a subscription has to fit.
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
    pub(super) fn check<'a>(
        &self,
        mut others: impl Iterator<Item = &'a SubscriptionSettings> + Clone,
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
        if let Some(channels) = way_back(settings, others.clone()) {
            errors.push(BuildError::SetAsideInCircles {
                subscription: subscription.clone(),
                channels,
            });
        }
        if others.clone().any(|other| other.name == *subscription) {
            errors.push(BuildError::SameName {
                subscription: subscription.clone(),
            });
        } else if let Some(other) = others.find(|other| other.channel.name == settings.channel.name) {
            errors.push(BuildError::SameChannel {
                channel: settings.channel.name.clone(),
                first: other.name.clone(),
                second: subscription.clone(),
            });
        }
    }
}
