//! The [`Circuits`]: which topics the sweeper leaves alone for a while, because the broker takes nothing for them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::policy::{CircuitBreaker, CircuitState, Permit, Verdict};
use brighter_core::message::RoutingKey;

/// A topic that has not failed for so long is forgotten: nothing may ever be posted to it again.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// A breaker for each topic that has failed lately; a topic that has none is well.
#[derive(Debug)]
pub(super) struct Circuits {
    settings: Option<(u32, Duration)>,
    failing: Mutex<HashMap<RoutingKey, TopicFailures>>,
    /// Whether none has failed, for those who ask with every message.
    is_quiet: AtomicBool,
}

#[derive(Debug)]
struct TopicFailures {
    breaker: CircuitBreaker,
    last: Instant,
}

impl Circuits {
    /// Opens after this many failures of a topic in a row, for this long; or never.
    pub(super) fn new(settings: Option<(u32, Duration)>) -> Self {
        Self {
            settings,
            failing: Mutex::default(),
            is_quiet: AtomicBool::new(true),
        }
    }

    /// Whether no topic has failed lately.
    pub(super) fn is_quiet(&self) -> bool {
        self.is_quiet.load(Ordering::Acquire)
    }

    /// Nothing that is done under the lock can panic half way.
    fn failing(&self) -> MutexGuard<'_, HashMap<RoutingKey, TopicFailures>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how it went with a topic.
    pub(super) fn note(&self, topic: &RoutingKey, went_well: bool) {
        let Some((failures, open_for)) = self.settings else {
            return;
        };
        let mut failing = self.failing();
        if went_well {
            if let Some(failed) = failing.get(topic)
                && failed.breaker.state() == CircuitState::Closed
            {
                failing.remove(topic);
            } else if let Some(failed) = failing.get(topic)
                && let Ok(permit) = failed.breaker.admit()
            {
                settle(permit, Verdict::Success, topic);
                failing.remove(topic);
            }
            self.is_quiet.store(failing.is_empty(), Ordering::Release);
            return;
        }
        let now = Instant::now();
        failing.retain(|_, failed| now.duration_since(failed.last) < REMEMBERED);
        let failed = failing.entry(topic.clone()).or_insert_with(|| TopicFailures {
            breaker: CircuitBreaker::consecutive(failures, open_for).jitter(0.1),
            last: now,
        });
        failed.last = now;
        self.is_quiet.store(false, Ordering::Release);
        if let Ok(permit) = failed.breaker.admit() {
            settle(permit, Verdict::Failure, topic);
        }
    }

    pub(super) fn state(&self, topic: &RoutingKey) -> CircuitState {
        let failing = self.failing();
        failing
            .get(topic)
            .map_or(CircuitState::Closed, |failed| failed.breaker.state())
    }

    /// The topics that are left alone or being tried again, with their states.
    pub(super) fn paused(&self) -> Vec<(RoutingKey, CircuitState)> {
        let failing = self.failing();
        let states = failing
            .iter()
            .map(|(topic, failed)| (topic.clone(), failed.breaker.state()));
        states
            .filter(|(_, state)| *state != CircuitState::Closed)
            .collect()
    }
}

fn settle(mut permit: Permit, verdict: Verdict, topic: &RoutingKey) {
    permit.settle(verdict, &format!("the topic `{topic}` of the outbox"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_topic_that_fails_is_paused_probed_and_let_go() {
        let circuits = Circuits::new(Some((2, Duration::from_secs(10))));
        let (bad, good) = (RoutingKey::from("bad"), RoutingKey::from("good"));
        circuits.note(&bad, false);
        circuits.note(&good, true);
        assert!(circuits.paused().is_empty());
        circuits.note(&bad, false);
        assert_eq!(circuits.paused(), [(bad.clone(), CircuitState::Open)]);
        assert_eq!(circuits.state(&good), CircuitState::Closed);

        tokio::time::advance(Duration::from_secs(12)).await;
        assert_eq!(circuits.state(&bad), CircuitState::HalfOpen);
        circuits.note(&bad, false);
        assert_eq!(circuits.state(&bad), CircuitState::Open);
        tokio::time::advance(Duration::from_secs(12)).await;
        circuits.note(&bad, true);
        assert!(circuits.paused().is_empty());
        assert!(circuits.failing().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn topics_without_recent_failures_are_forgotten() {
        let circuits = Circuits::new(Some((1, Duration::from_secs(10))));
        circuits.note(&"once".into(), false);
        tokio::time::advance(REMEMBERED).await;
        circuits.note(&"now".into(), false);
        assert_eq!(circuits.failing().len(), 1);
    }
}
