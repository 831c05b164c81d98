//! Puts a [`Dispatcher`] together.

use std::any::type_name;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::controls::Controls;
use super::route::{Route, RouteTo};
use super::status::Board;
use super::{Dispatcher, Registered};
use crate::channel::{Subscription, SubscriptionSettings};
use crate::mapper::Postable;
use crate::processor::{BuildError, BuildErrors, CommandProcessor};

/// Longer than most handlers take; shorter than the 30 s after which most hosts kill a process.
const DEFAULT_DRAIN: Duration = Duration::from_secs(20);

/// Puts a [`Dispatcher`] together.
#[must_use = "nothing is made until `build` is called"]
pub struct DispatcherBuilder {
    processor: CommandProcessor,
    subscriptions: Vec<Candidate>,
    drain: Duration,
}

/// A subscription that is still to be checked.
struct Candidate {
    settings: SubscriptionSettings,
    route: Arc<dyn Route>,
    request: &'static str,
    handlers: usize,
}

impl DispatcherBuilder {
    pub(super) fn new(processor: CommandProcessor) -> Self {
        Self {
            processor,
            subscriptions: Vec::new(),
            drain: DEFAULT_DRAIN,
        }
    }

    /// Adds a subscription.
    pub fn subscription<R: Postable>(mut self, subscription: Subscription<R>) -> Self {
        self.subscriptions.push(Candidate {
            settings: subscription.into_settings(),
            route: Arc::new(RouteTo::<R>::new()),
            request: type_name::<R>(),
            handlers: self.processor.handlers_of::<R>(),
        });
        self
    }

    /// Gives handlers this long to finish when the dispatcher ends: 20 s unless said here.
    pub fn drain(mut self, within: Duration) -> Self {
        self.drain = within;
        self
    }

    /// Makes the dispatcher. Nothing is consumed before [`Dispatcher::receive`].
    ///
    /// # Errors
    /// Everything that is wrong, all at once: see [`BuildError`].
    pub fn build(self) -> Result<Dispatcher, BuildErrors> {
        let mut errors = Vec::new();
        let broker = self.processor.broker().cloned();
        if broker.is_none() {
            errors.push(BuildError::NoBrokerToConsume);
        }
        if self.subscriptions.is_empty() {
            errors.push(BuildError::NoSubscription);
        }
        for (index, candidate) in self.subscriptions.iter().enumerate() {
            check(candidate, &self.subscriptions[..index], &mut errors);
        }
        BuildErrors::check(errors)?;
        let Some(broker) = broker else {
            return Err(BuildErrors::from(BuildError::NoBrokerToConsume));
        };
        let subscriptions: BTreeMap<_, _> = self
            .subscriptions
            .into_iter()
            .map(|Candidate { settings, route, .. }| {
                (
                    settings.name.clone(),
                    Registered {
                        controls: Arc::new(Controls::new(&settings)),
                        settings: Arc::new(settings),
                        route,
                    },
                )
            })
            .collect();
        Ok(Dispatcher {
            processor: self.processor,
            broker,
            subscriptions,
            drain: self.drain,
            running: Mutex::default(),
            board: Arc::new(Board::default()),
        })
    }
}

fn check(candidate: &Candidate, before: &[Candidate], errors: &mut Vec<BuildError>) {
    let Candidate {
        settings,
        request,
        handlers,
        ..
    } = candidate;
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
    if *handlers == 0 {
        errors.push(BuildError::NoHandler {
            subscription: subscription.clone(),
            request,
        });
    }
    if before.iter().any(|other| other.settings.name == *subscription) {
        errors.push(BuildError::SameName {
            subscription: subscription.clone(),
        });
    } else if let Some(other) = before
        .iter()
        .find(|other| other.settings.channel.name == settings.channel.name)
    {
        errors.push(BuildError::SameChannel {
            channel: settings.channel.name.clone(),
            first: other.settings.name.clone(),
            second: subscription.clone(),
        });
    }
}

impl fmt::Debug for DispatcherBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DispatcherBuilder")
            .field(
                "subscriptions",
                &self
                    .subscriptions
                    .iter()
                    .map(|candidate| &candidate.settings)
                    .collect::<Vec<_>>(),
            )
            .field("drain", &self.drain)
            .finish_non_exhaustive()
    }
}
