//! The health of a [`Dispatcher`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::Dispatcher;
use super::readiness::NotReady;
use crate::processor::{Health, Unhealthy};

impl Dispatcher {
    /// Whether every subscription is being consumed, and the processor can do what it is for: see
    /// [`CommandProcessor::health`](crate::CommandProcessor::health), which is asked for too.
    /// [`readiness`](Self::readiness) is the part of it that needs no waiting.
    ///
    /// A subscription is not consumed either if its performers have consumers that give them nothing: messages wait in its
    /// channel, all its performers are idle, and have received none for five seconds. That is seen from one call to a later
    /// one, where the broker tells how many messages wait, and not for a subscription that keeps order, has a rate, or has
    /// one active consumer among several.
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
        let stalled = self.stalled().await;
        // Asked after the wait, so that it is true now.
        let not_consumed = self.readiness().reasons.into_iter().filter_map(not_consumed);
        health.reasons.extend(not_consumed);
        health.reasons.extend(self.consumers_that_differ());
        health.reasons.extend(stalled);
        health
    }

    /// The subscriptions whose performers are at rest, and of whose channel the broker has given out another number of
    /// consumers than they use: one that was lost takes no messages though it says so, and one too many keeps those
    /// that it was given.
    fn consumers_that_differ(&self) -> Vec<Unhealthy> {
        let consuming = self.0.statuses.consuming_at_rest(AT_REST);
        let state = self.0.state();
        // Several subscriptions may be of one channel.
        let mut channels = BTreeMap::<_, (_, Option<u64>)>::new();
        for known in state.subscriptions.values() {
            let settings = &known.registered.settings;
            let performers = consuming.get(&settings.name).copied().unwrap_or(Some(0));
            let (_, sum) = channels
                .entry(settings.channel.name.clone())
                .or_insert_with(|| (settings.name.clone(), Some(0)));
            *sum = sum.zip(performers).map(|(sum, performers)| sum + performers);
        }
        drop(state);
        let differing = channels.into_iter().filter_map(|(channel, (subscription, performers))| {
            let (performers, consumers) = performers.zip(self.0.broker.consumer_count(&channel))?;
            let reason = format!(
                "its performers use {performers} consumers of the channel `{channel}`, and the broker has given out \
                 {consumers} that are alive; stop and start it, and report this"
            );
            (performers != consumers).then_some(Unhealthy::NotConsumed { subscription, reason })
        });
        differing.collect()
    }

    /// The subscriptions whose consumers give them nothing.
    async fn stalled(&self) -> Vec<Unhealthy> {
        let running: Vec<_> = {
            let state = self.0.state();
            let known = state.subscriptions.values();
            known
                .filter_map(|known| Some((known.running.as_ref()?.run, Arc::clone(&known.registered))))
                .collect()
        };
        let runs: Vec<_> = running.iter().map(|(run, _)| *run).collect();
        self.0.stalls.keep(&runs);
        let looks = running.iter().map(|(run, registered)| async {
            let (statuses, broker) = (&self.0.statuses, &self.0.broker);
            let reason = self.0.stalls.look(*run, registered, statuses, broker).await?;
            let subscription = registered.settings.name.clone();
            Some(Unhealthy::NotConsumed { subscription, reason })
        });
        join_all(looks).await.into_iter().flatten().collect()
    }
}

/// How long performers must have been in their state before their consumers are counted.
const AT_REST: Duration = Duration::from_secs(5);

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
