//! What a subscription must be to be dispatched, checked in one place for `build()` and for one that is added later.

use std::any::type_name;
use std::sync::Arc;

use super::registered::Registered;
use super::route::{Route, RouteTo};
use crate::channel::{Subscription, SubscriptionSettings};
use crate::mapper::Postable;
use crate::processor::{BuildError, CommandProcessor};

/// A subscription that is still to be checked.
pub(super) struct Candidate {
    pub(super) settings: SubscriptionSettings,
    route: Arc<dyn Route>,
    request: &'static str,
    handlers: usize,
}

impl Candidate {
    pub(super) fn new<R: Postable>(processor: &CommandProcessor, subscription: Subscription<R>) -> Self {
        Self {
            settings: subscription.into_settings(),
            route: Arc::new(RouteTo::<R>::new()),
            request: type_name::<R>(),
            handlers: processor.handlers_of::<R>(),
        }
    }

    pub(super) fn register(self) -> Registered {
        Registered::new(self.settings, self.route)
    }

    /// Adds everything that is wrong with it, beside these that are there already.
    pub(super) fn check<'a>(
        &self,
        mut others: impl Iterator<Item = &'a SubscriptionSettings> + Clone,
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
        if self.handlers == 0 {
            errors.push(BuildError::NoHandler {
                subscription: subscription.clone(),
                request: self.request,
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
