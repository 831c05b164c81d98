//! Puts a [`Dispatcher`] together.

use std::fmt;
#[cfg(feature = "control")]
use std::sync::Arc;
use std::time::Duration;

use super::Dispatcher;
use super::check::{BuildContext, UncheckedSubscription};
#[cfg(feature = "control")]
use super::control::{Control, Controlled};
use super::neighbours::SubscriptionIndex;
use super::requests::Requests;
use crate::processor::{BuildError, BuildErrors, CommandProcessor};
use crate::subscription::Subscription;

/// Longer than most handlers take; shorter than the 30 s after which most hosts kill a process.
const DEFAULT_DRAIN: Duration = Duration::from_secs(20);

/// Puts a [`Dispatcher`] together.
#[must_use = "nothing is made until `build` is called"]
pub struct DispatcherBuilder {
    processor: CommandProcessor,
    subscriptions: Vec<UncheckedSubscription>,
    drain_timeout: Option<Duration>,
    #[cfg(feature = "config")]
    config: Option<brighter_config::Config>,
    #[cfg(feature = "control")]
    control: Option<Control>,
    /// The mistakes in the calls themselves.
    errors: Vec<BuildError>,
}

impl Dispatcher {
    /// Begins to describe a dispatcher of this processor's requests.
    pub fn builder(processor: CommandProcessor) -> DispatcherBuilder {
        DispatcherBuilder::new(processor)
    }
}

impl DispatcherBuilder {
    fn new(processor: CommandProcessor) -> Self {
        Self {
            processor,
            subscriptions: Vec::new(),
            drain_timeout: None,
            #[cfg(feature = "config")]
            config: None,
            #[cfg(feature = "control")]
            control: None,
            errors: Vec::new(),
        }
    }

    /// Adds a subscription.
    pub fn subscription<R: Requests>(mut self, subscription: Subscription<R>) -> Self {
        let candidate = UncheckedSubscription::new(&self.processor, subscription);
        self.subscriptions.push(candidate);
        self
    }

    /// Gives handlers this long to finish when the dispatcher ends: 20 s unless said here.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        BuildError::set(
            &mut self.drain_timeout,
            timeout,
            "drain_timeout",
            &mut self.errors,
        );
        self
    }

    /// Obeys commands that come over this topic of the broker. Without this there are the dispatcher's methods only.
    #[cfg(feature = "control")]
    pub fn control(mut self, control: Control) -> Self {
        BuildError::set(&mut self.control, control, "control", &mut self.errors);
        self
    }

    /// Takes what the configuration says of subscriptions and of the time to drain: it overrides what this builder was
    /// told, before or after.
    ///
    /// A subscription that only the configuration has is an error of `build()`. If a file lists subscriptions, one
    /// that only the program has is an error too, so that nobody reads a list that lacks some.
    #[cfg(feature = "config")]
    pub fn configure(mut self, config: &brighter_config::Config) -> Self {
        BuildError::set(&mut self.config, config.clone(), "configure", &mut self.errors);
        self
    }

    /// Makes the dispatcher. Nothing is consumed before [`Dispatcher::receive`].
    ///
    /// # Errors
    /// Everything that is wrong, all at once: see [`BuildError`].
    #[cfg_attr(
        not(feature = "config"),
        expect(unused_mut, reason = "only a configuration changes it")
    )]
    pub fn build(mut self) -> Result<Dispatcher, BuildErrors> {
        let mut errors = self.errors;
        let mut drain = self.drain_timeout.unwrap_or(DEFAULT_DRAIN);
        #[cfg(feature = "config")]
        if let Some(config) = self.config.take() {
            super::configure::configure(&config, &mut self.subscriptions, &mut drain, &mut errors);
        }
        let broker = self.processor.broker().cloned();
        if broker.is_none() {
            errors.push(BuildError::NoBrokerToConsume);
        }
        if self.subscriptions.is_empty() {
            errors.push(BuildError::NoSubscription);
        }
        let terms = BuildContext {
            broker: broker.as_deref(),
            drain,
        };
        let mut before = SubscriptionIndex::default();
        for candidate in &self.subscriptions {
            candidate.check(&before, &terms, &mut errors);
            before.add(&candidate.settings);
        }
        BuildErrors::check(errors)?;
        let Some(broker) = broker else {
            return Err(BuildErrors::from(BuildError::NoBrokerToConsume));
        };
        #[cfg(feature = "control")]
        let control = match self.control {
            Some(control) => {
                let controlled = Controlled::new(control, Arc::clone(&broker))?;
                let mut errors = Vec::new();
                let terms = BuildContext {
                    broker: Some(&*broker),
                    drain,
                };
                controlled.subscription.check(&before, &terms, &mut errors);
                BuildErrors::check(errors)?;
                Some(controlled)
            }
            None => None,
        };
        let subscriptions = self
            .subscriptions
            .into_iter()
            .map(UncheckedSubscription::register);
        let dispatcher = Dispatcher::new(self.processor, broker, drain, subscriptions.collect());
        #[cfg(feature = "control")]
        if let Some(controlled) = control {
            controlled.attach(&dispatcher);
        }
        Ok(dispatcher)
    }
}

impl fmt::Debug for DispatcherBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.subscriptions.iter().map(|candidate| &candidate.settings);
        f.debug_struct("DispatcherBuilder")
            .field("subscriptions", &settings.collect::<Vec<_>>())
            .field("drain_timeout", &self.drain_timeout)
            .finish_non_exhaustive()
    }
}
