//! Steering a [`Dispatcher`] while it runs: pause, resume, more performers or fewer, slower or faster.

use std::sync::Arc;

use super::registered::Registered;
use super::{Dispatcher, Throttle, UnknownSubscription};
use crate::subscription::Performers;
use brighter_core::message::SubscriptionName;

impl Dispatcher {
    /// Has a subscription take no more messages until it is [resumed](Self::resume). What it has in hand it
    /// finishes; what waits in its performers' memory goes back to the channel at once, so that others can have
    /// it. It gives up its consumers, and so is not ready while it is paused; its performers stay.
    ///
    /// A pause outlasts a stop and a start. One that is not running will be paused when it is started.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn pause(&self, name: impl Into<SubscriptionName>) -> Result<(), UnknownSubscription> {
        self.throttle(name, |throttle| throttle.paused = true)
    }

    /// Ends a pause.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn resume(&self, name: impl Into<SubscriptionName>) -> Result<(), UnknownSubscription> {
        self.throttle(name, |throttle| throttle.paused = false)
    }

    /// Changes how much a subscription may do, at once and for all of its performers.
    ///
    /// # Errors
    /// There is none of that name.
    ///
    /// ```
    /// # use brighter::dispatcher::UnknownSubscription;
    /// use brighter::channel::Rate;
    ///
    /// # fn example(dispatcher: &brighter::Dispatcher) -> Result<(), UnknownSubscription> {
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
    ) -> Result<(), UnknownSubscription> {
        if self.registered(name)?.controls.change(change) {
            self.0.statuses.changed();
        }
        Ok(())
    }

    /// Has a subscription run with this many performers (0 is taken for 1; to have none, stop or pause it), or with as
    /// many of a range as there is work for, now if it runs, and whenever it is started. The surplus finish what they
    /// have in hand, and then end. One that keeps order by key has one performer, whatever is said here: give it more
    /// concurrency.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn scale(
        &self,
        name: impl Into<SubscriptionName>,
        performers: impl Into<Performers>,
    ) -> Result<(), UnknownSubscription> {
        self.registered(name)?.scale(performers.into());
        self.0.statuses.changed();
        Ok(())
    }

    fn registered(&self, name: impl Into<SubscriptionName>) -> Result<Arc<Registered>, UnknownSubscription> {
        let mut state = self.0.state();
        Ok(Arc::clone(&state.find(&name.into())?.registered))
    }
}
