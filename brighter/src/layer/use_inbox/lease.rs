//! How long a request is claimed for, and which requests wait for the claim of somebody else.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use brighter_core::context::Context;
use brighter_core::inbox::InboxKey;

/// How long the pump lets a request be handled, in the bag of its context, where its subscription says so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HandlingLimit(pub(crate) Duration);

/// The delay that is allowed to a pump and a database.
const MARGIN: Duration = Duration::from_secs(10);

/// The lease of a claim. Longer than its request may be handled it would hold up nothing but the next delivery, after the
/// process has died.
pub(super) fn lease(of_attribute: Duration, cx: &Context) -> Duration {
    let limit = cx.get::<HandlingLimit>();
    limit.map_or(of_attribute, |limit| {
        of_attribute.min(limit.0.saturating_add(MARGIN))
    })
}

/// So many requests are remembered: to find out that many wait, not which.
const MOST: usize = 10_000;

/// The requests that were delivered while somebody else had claimed them, and wait until they are handled or the claim
/// has ended.
#[derive(Debug, Default)]
pub(crate) struct ClaimedElsewhere {
    /// How many there are, so that a request that waited for nobody takes no lock.
    count: AtomicUsize,
    requests: Mutex<HashMap<InboxKey, Instant>>,
}

/// Requests of one handler that wait for claims of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimedRequests {
    pub(crate) context: Arc<str>,
    pub(crate) requests: u64,
    /// How long the longest claim has left.
    pub(crate) longest: Duration,
}

impl ClaimedElsewhere {
    /// Notes that a request waits for a claim with this much left.
    pub(super) fn note(&self, key: &InboxKey, left: Duration) {
        let now = Instant::now();
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.len() >= MOST {
            requests.retain(|_, until| *until > now);
        }
        if requests.len() < MOST {
            requests.insert(key.clone(), brighter_core::__private::clock::after(now, left));
        }
        self.count.store(requests.len(), Ordering::Relaxed);
    }

    /// Forgets a request that waits no more.
    pub(super) fn forget(&self, key: &InboxKey) {
        if self.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.remove(key);
        self.count.store(requests.len(), Ordering::Relaxed);
    }

    /// Returns what waits, by handler, in the order of their names.
    pub(crate) fn list(&self) -> Vec<ClaimedRequests> {
        let now = Instant::now();
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.retain(|_, until| *until > now);
        self.count.store(requests.len(), Ordering::Relaxed);
        let mut found: HashMap<Arc<str>, ClaimedRequests> = HashMap::new();
        for (InboxKey { context, .. }, until) in requests.iter().map(|(key, until)| (key, *until)) {
            let of_context = found
                .entry(Arc::clone(context))
                .or_insert_with(|| ClaimedRequests {
                    context: Arc::clone(context),
                    requests: 0,
                    longest: Duration::ZERO,
                });
            of_context.requests += 1;
            of_context.longest = of_context.longest.max(until - now);
        }
        drop(requests);
        let mut found: Vec<_> = found.into_values().collect();
        found.sort_by(|a, b| a.context.cmp(&b.context));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brighter_core::id::MessageId;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_lease_is_no_longer_than_a_handling_may_be() {
        let cx = Context::new();
        assert_eq!(lease(5 * MINUTE, &cx), 5 * MINUTE);
        cx.insert(HandlingLimit(MINUTE));
        assert_eq!(lease(5 * MINUTE, &cx), MINUTE + MARGIN);
        assert_eq!(lease(MINUTE / 2, &cx), MINUTE / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_waiting_for_a_claim_are_listed_until_resolved() {
        let claimed = ClaimedElsewhere::default();
        let key = |context: &str| InboxKey::new(MessageId::new(), context);
        let (first, second) = (key("mail"), key("mail"));
        claimed.note(&first, MINUTE);
        claimed.note(&second, 2 * MINUTE);
        claimed.note(&key("bank"), MINUTE / 2);
        let list = || -> Vec<(String, u64, Duration)> {
            let list = claimed.list().into_iter();
            list.map(|one| (one.context.to_string(), one.requests, one.longest))
                .collect()
        };
        assert_eq!(
            list(),
            [
                ("bank".to_owned(), 1, MINUTE / 2),
                ("mail".to_owned(), 2, 2 * MINUTE)
            ]
        );
        claimed.forget(&second);
        tokio::time::advance(MINUTE / 2).await;
        assert_eq!(list(), [("mail".to_owned(), 1, MINUTE / 2)]);
        tokio::time::advance(MINUTE / 2).await;
        assert_eq!(list(), []);
    }
}
