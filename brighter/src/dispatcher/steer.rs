//! Steering a [`Dispatcher`] while it runs: pause, resume, more performers or fewer, slower or faster.

use std::sync::Arc;

use super::registered::Registered;
use super::{Dispatcher, Throttle, UnknownSubscription};
use crate::subscription::Performers;
use brighter_core::error::InvalidSetting;
use brighter_core::message::SubscriptionName;

/// Why a subscription was not changed.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// There is no subscription of that name.
    #[error(transparent)]
    UnknownSubscription(#[from] UnknownSubscription),
    /// A setting would get a value that it cannot have. The subscription stays as it was.
    #[error("invalid setting of the subscription `{subscription}`")]
    Setting {
        /// The name of the subscription.
        subscription: SubscriptionName,
        /// The setting, the value, and the values that are allowed.
        #[source]
        source: InvalidSetting,
    },
}

brighter_core::__private::readable_debug!(ControlError);

impl Dispatcher {
    /// Pauses a subscription: it takes no messages until it is [resumed](Self::resume). It finishes the messages that
    /// it handles. Prefetched messages go back to the channel at once, so that other consumers can have them. The
    /// subscription gives up its consumers, so it is not ready while it is paused; its performers stay.
    ///
    /// A pause outlasts a stop and a start. One that is not running will be paused when it is started.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn pause(&self, name: impl Into<SubscriptionName>) -> Result<(), UnknownSubscription> {
        self.set_paused(name, true)
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn resume(&self, name: impl Into<SubscriptionName>) -> Result<(), UnknownSubscription> {
        self.set_paused(name, false)
    }

    /// Changes how much a subscription may do, at once and for all of its performers.
    ///
    /// # Errors
    /// See [`ControlError`]: there is none of that name, or it cannot do so much or so little.
    ///
    /// ```
    /// # use brighter::dispatcher::ControlError;
    /// use brighter::channel::Rate;
    ///
    /// # fn example(dispatcher: &brighter::Dispatcher) -> Result<(), ControlError> {
    /// dispatcher.throttle("task-reminders", |throttle| {
    ///     throttle.rate = Some(Rate::per_second(50));
    ///     throttle.concurrency = 4;
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn throttle(
        &self,
        name: impl Into<SubscriptionName>,
        change: impl FnOnce(&mut Throttle),
    ) -> Result<(), ControlError> {
        let registered = self.registered(name)?;
        let changed = registered.controls.change(change);
        if changed.map_err(|source| registered.refused(source))? {
            self.0.statuses.changed();
        }
        Ok(())
    }

    /// Sets the number of performers of a subscription, or a range within which the work decides. It holds now, if the
    /// subscription runs, and whenever it is started. Surplus performers finish the messages that they handle, then end.
    ///
    /// # Errors
    /// See [`ControlError`]. To have no performers, stop or pause the subscription. One that keeps order by key has one
    /// performer: give it more concurrency.
    pub fn scale(
        &self,
        name: impl Into<SubscriptionName>,
        performers: impl Into<Performers>,
    ) -> Result<(), ControlError> {
        let registered = self.registered(name)?;
        let scaled = registered.scale(performers.into());
        scaled.map_err(|source| registered.refused(source))?;
        self.0.statuses.changed();
        Ok(())
    }

    fn set_paused(&self, name: impl Into<SubscriptionName>, paused: bool) -> Result<(), UnknownSubscription> {
        // A pause changes no setting that can be refused.
        if self
            .registered(name)?
            .controls
            .change(|throttle| throttle.paused = paused)
            == Ok(true)
        {
            self.0.statuses.changed();
        }
        Ok(())
    }

    fn registered(&self, name: impl Into<SubscriptionName>) -> Result<Arc<Registered>, UnknownSubscription> {
        let mut state = self.0.state();
        Ok(Arc::clone(&state.find(&name.into())?.registered))
    }
}

impl Registered {
    fn refused(&self, source: InvalidSetting) -> ControlError {
        let subscription = self.settings.name.clone();
        ControlError::Setting { subscription, source }
    }
}
