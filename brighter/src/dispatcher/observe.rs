//! Looking at a [`Dispatcher`]: what its subscriptions are doing, and when that changes.

use std::sync::Arc;

use tokio::sync::watch;

use super::readiness::Readiness;
use super::status::{SubscriptionState, SubscriptionStatus};
use super::status_registry::StatusRegistry;
use super::{Dispatcher, KnownSubscription};

/// Tells when the state of a subscription or of a performer has changed: see [`Dispatcher::changes`].
#[derive(Debug)]
pub struct StatusChanges {
    receiver: watch::Receiver<()>,
    /// Keeps the sender, so that waiting never fails.
    _statuses: Arc<StatusRegistry>,
}

impl StatusChanges {
    /// Waits for a change since the last one that was waited for, or since this was made. Several changes may be
    /// told as one; none is missed. Cancelling loses nothing.
    pub async fn changed(&mut self) {
        // Its sender is in the registry, so this cannot fail.
        let _ = self.receiver.changed().await;
    }
}

impl Dispatcher {
    /// Returns what every subscription is doing, ordered by name.
    #[must_use]
    pub fn status(&self) -> Vec<SubscriptionStatus> {
        let state = self.0.state();
        let mut performers = self.0.statuses.performers();
        let status = |known: &KnownSubscription| {
            let name = &known.registered.settings.name;
            let record = self.0.statuses.record(name);
            let throttle = known.registered.controls.throttle();
            SubscriptionStatus {
                name: name.clone(),
                state: match known.is_running() {
                    false => SubscriptionState::Stopped,
                    true if known.registered.controls.limit_reached() => SubscriptionState::LimitReached,
                    true if throttle.paused => SubscriptionState::Paused,
                    true => SubscriptionState::Running,
                },
                performers: performers.remove(name).unwrap_or_default(),
                scale: *known.registered.performers.borrow(),
                wanted: known.registered.wanted(),
                throttle,
                restarts: record.restarts,
                last_error: record.last_error,
            }
        };
        state.subscriptions.values().map(status).collect()
    }

    /// Tells of changes, so that one can wait for a state without asking again and again. What is in hand changes
    /// too often to be told.
    ///
    /// ```
    /// # use brighter::Dispatcher;
    /// use brighter::dispatcher::SubscriptionState;
    ///
    /// # async fn example(dispatcher: &Dispatcher) {
    /// let mut changes = dispatcher.changes();
    /// while !dispatcher.status().iter().all(|status| status.state == SubscriptionState::Paused) {
    ///     changes.changed().await;
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn changes(&self) -> StatusChanges {
        StatusChanges {
            receiver: self.0.statuses.changes(),
            _statuses: Arc::clone(&self.0.statuses),
        }
    }

    /// Waits until a subscription is running and every performer of every running subscription consumes its channel.
    /// Subscriptions that are paused or have reached their limit are not waited for.
    pub async fn wait_until_consuming(&self) {
        let mut changes = self.changes();
        while !self.all_consume() {
            changes.changed().await;
        }
    }

    /// Whether every subscription is being consumed at this moment; if not, why not. It costs a look at every
    /// performer and asks nobody, so that it can be asked as often as anyone likes.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        Readiness::of(&self.0.broker.status(), &self.status())
    }

    /// Whether every subscription is being consumed at this moment: see [`readiness`](Self::readiness).
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.readiness().is_ready()
    }

    /// Whether every subscription that was started has a task that sees to its performers. It always has, unless
    /// this crate is at fault: what watches the process from outside asks.
    pub(crate) fn is_looked_after(&self) -> bool {
        let state = self.0.state();
        let mut started = state
            .subscriptions
            .values()
            .filter(|known| known.running.is_some());
        started.all(KnownSubscription::is_running)
    }

    fn all_consume(&self) -> bool {
        let state = self.0.state();
        let counts = self.0.statuses.counts();
        let consumes = |known: &KnownSubscription| {
            let registered = &known.registered;
            let Some(running) = &known.running else {
                return true;
            };
            let count = counts.get(&running.run).copied().unwrap_or_default();
            registered.controls.is_idle() || count.consuming >= registered.wanted()
        };
        let any = state.subscriptions.values().any(|known| known.running.is_some());
        any && state.subscriptions.values().all(consumes)
    }
}
