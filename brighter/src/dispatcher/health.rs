//! The health of a [`Dispatcher`].

use super::Dispatcher;
use super::readiness::NotReady;
use crate::processor::{Health, Unhealthy};

impl Dispatcher {
    /// Whether every subscription is being consumed, and the processor can do what it is for: see
    /// [`CommandProcessor::health`](crate::CommandProcessor::health), which is asked for too.
    /// [`readiness`](Self::readiness) is the part of it that needs no waiting.
    ///
    /// ```
    /// # async fn example(dispatcher: &brighter::Dispatcher) {
    /// let health = dispatcher.health().await;
    /// if !health.is_ready() {
    ///     eprintln!("{health}");
    /// }
    /// # }
    /// ```
    pub async fn health(&self) -> Health {
        let mut health = self.processor().health().await;
        // Asked after the wait, so that it is true now.
        let not_consumed = self.readiness().reasons.into_iter().filter_map(not_consumed);
        health.reasons.extend(not_consumed);
        health
    }
}

/// The broker is the processor's own, which has told of it.
fn not_consumed(reason: NotReady) -> Option<Unhealthy> {
    let subscription = match &reason {
        NotReady::NoBroker { .. }
        | NotReady::Blocked { .. }
        | NotReady::Unconfirmed { .. }
        | NotReady::Closed => return None,
        NotReady::Stopped { subscription }
        | NotReady::Paused { subscription }
        | NotReady::LimitReached { subscription }
        | NotReady::NoConsumer { subscription, .. } => subscription.clone(),
    };
    let reason = reason.to_string();
    Some(Unhealthy::NotConsumed { subscription, reason })
}
