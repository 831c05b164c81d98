//! [`RouteChanges`]: whether messages go by a channel that is older than their queue.
//!
//! A quorum queue numbers what each channel sends it, and takes a number that it has seen for a duplicate: it confirms
//! the message, and drops it. A queue that was deleted while its nodes did not see each other, and was declared again,
//! may take the numbers of the queue before it for its own, and drop all that an old channel sends (seen on 4.0.5). It
//! cannot do so with a channel that it has never seen.
//!
//! That a queue went shows when a message to it comes back, or when we declare it again. What is deleted and declared
//! by others between two messages shows in nothing.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::returned_messages::RouteKey;

/// A new channel costs three answers of the broker. Topics that nobody wants must not cost one for each message.
const LEAST: Duration = Duration::from_secs(1);
/// So many topics that nobody wants are known at most.
const MOST_KEYS: usize = 4096;

/// Where messages went and do not go any more, and whether the channel is due to be renewed over that.
#[derive(Default)]
pub(super) struct RouteChanges {
    /// The keys whose last message came back.
    absent: HashSet<RouteKey>,
    wanted: bool,
    /// Somebody else wants it.
    requested: Arc<AtomicBool>,
    renewed: Option<Instant>,
}

impl RouteChanges {
    /// By this others ask for a new channel.
    pub(super) fn requested(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.requested)
    }

    /// A message came back. Returns whether the one before it had not.
    pub(super) fn came_back(&mut self, key: RouteKey) -> bool {
        if self.absent.len() >= MOST_KEYS {
            self.absent.clear();
        }
        let is_new = self.absent.insert(key);
        self.wanted |= is_new;
        is_new
    }

    /// A message arrived.
    pub(super) fn arrived(&mut self, key: RouteKey) {
        // Nearly always.
        if !self.absent.is_empty() {
            self.absent.remove(&key);
        }
    }

    /// Whether the channel is to be renewed now.
    pub(super) fn is_due(&mut self) -> bool {
        if self.requested.load(Ordering::Acquire) {
            self.requested.store(false, Ordering::Release);
            self.wanted = true;
        }
        self.wanted && self.renewed.is_none_or(|at| at.elapsed() >= LEAST)
    }

    /// A channel was opened: whatever changed was before it.
    pub(super) fn opened(&mut self) {
        self.requested.store(false, Ordering::Release);
        self.wanted = false;
    }

    /// The channel is left for a new one, or cannot be.
    pub(super) fn renewed(&mut self) {
        self.wanted = false;
        self.renewed = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use lapin::BasicProperties;

    use super::super::returned_messages::RouteHasher;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_channel_is_renewed_once_for_each_time_that_a_queue_goes() {
        let hasher = RouteHasher::default();
        let key = |key: &str| {
            hasher
                .of(&"e".into(), &key.into(), &BasicProperties::default())
                .key()
        };
        let mut changes = RouteChanges::default();
        changes.arrived(key("a"));
        assert!(!changes.is_due());
        assert!(changes.came_back(key("a")));
        assert!(changes.is_due());
        changes.renewed();
        // Nobody wants it, and that is known.
        assert!(!changes.came_back(key("a")));
        assert!(!changes.is_due());
        // Another one, too soon.
        assert!(changes.came_back(key("b")));
        assert!(!changes.is_due());
        tokio::time::advance(LEAST).await;
        assert!(changes.is_due());
        changes.renewed();
        tokio::time::advance(LEAST).await;
        assert!(!changes.is_due());
        // It was there again, and went again.
        changes.arrived(key("a"));
        assert!(changes.came_back(key("a")) && changes.is_due());
    }

    #[tokio::test(start_paused = true)]
    async fn others_may_ask_for_a_new_channel() {
        let mut changes = RouteChanges::default();
        changes.requested().store(true, Ordering::Release);
        assert!(changes.is_due());
        changes.renewed();
        assert!(!changes.is_due());
    }
}
