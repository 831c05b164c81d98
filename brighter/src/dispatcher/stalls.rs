//! [`StallMonitor`]: finds subscriptions whose performers have consumers that give them nothing.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, timeout};

use super::registered::Registered;
use super::status_registry::StatusRegistry;
use brighter_core::channel::Broker;

/// How long messages may wait beside performers that have nothing to do.
const STALLED_AFTER: Duration = Duration::from_secs(5);
/// The broker is not asked again for the same subscription before.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long the broker may take to tell the depth.
const DEPTH_DEADLINE: Duration = Duration::from_secs(2);

/// Remembers which subscriptions had idle performers and messages that wait, from one look to the next. It looks when it is
/// asked to, and never by itself: who has nothing to do does nothing.
#[derive(Debug, Default)]
pub(super) struct StallMonitor(Mutex<BTreeMap<u64, Sighting>>);

/// Messages waited, and performers were idle.
#[derive(Debug, Clone, Copy)]
struct Sighting {
    /// How many messages the performers had received.
    received: u64,
    since: Instant,
    asked: Instant,
    depth: u64,
}

impl StallMonitor {
    /// Returns why this start of a subscription is taken for stalled, if it is: messages wait, its performers are idle, and have
    /// received nothing for some seconds, from one look to another.
    pub(super) async fn look(
        &self,
        run: u64,
        registered: &Registered,
        statuses: &StatusRegistry,
        broker: &Arc<dyn Broker>,
    ) -> Option<String> {
        let received = self.received_while_idle(run, registered, statuses);
        let before = self.lock().get(&run).copied();
        let sighting = match (received, before) {
            (Some(received), Some(before))
                if before.received == received && before.asked.elapsed() < ASK_EVERY =>
            {
                Some(before)
            }
            (Some(received), before) => {
                let depth = depth(registered, broker).await.filter(|depth| *depth > 0);
                // They may have got it meanwhile.
                let still = self.received_while_idle(run, registered, statuses) == Some(received);
                let now = Instant::now();
                let same = before.filter(|before| before.received == received);
                depth.filter(|_| still).map(|depth| Sighting {
                    received,
                    since: same.map_or(now, |before| before.since),
                    asked: now,
                    depth,
                })
            }
            (None, _) => None,
        };
        let mut sightings = self.lock();
        let Some(sighting) = sighting else {
            sightings.remove(&run);
            return None;
        };
        sightings.insert(run, sighting);
        let waited = sighting.since.elapsed();
        (waited >= STALLED_AFTER).then(|| {
            let (name, depth) = (&registered.settings.name, sighting.depth);
            format!(
                "the consumers of the subscription `{name}` give it nothing: {depth} messages wait in its channel, and its idle performers have received none for {waited:?}"
            )
        })
    }

    /// Forgets all but these starts.
    pub(super) fn keep(&self, runs: &[u64]) {
        self.lock().retain(|run, _| runs.contains(run));
    }

    /// How many messages its performers have received, if all of them that consume are idle and nothing explains that.
    fn received_while_idle(
        &self,
        run: u64,
        registered: &Registered,
        statuses: &StatusRegistry,
    ) -> Option<u64> {
        let settings = &registered.settings;
        // Messages wait for their key, for another process, or for their time.
        let may_wait = settings.ordered
            || settings.channel.limits.single_active_consumer
            || registered.controls.throttle().rate.is_some()
            || registered.controls.is_idle();
        let count = statuses.counts().get(&run).copied().unwrap_or_default();
        (!may_wait && count.consuming > 0 && count.busy == 0).then_some(count.received)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Sighting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many messages wait, if the broker says.
async fn depth(registered: &Registered, broker: &Arc<dyn Broker>) -> Option<u64> {
    let depth = AssertUnwindSafe(broker.depth(&registered.settings.channel)).catch_unwind();
    timeout(DEPTH_DEADLINE, depth).await.ok()?.ok()?.ok()?
}
