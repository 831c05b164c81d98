//! [`RouteChanges`]: tracks whether the channel is older than the queues that it publishes to.
//!
//! A quorum queue numbers the messages of each channel, and treats a known number as a duplicate: it confirms the
//! message and drops it. A queue that is deleted during a network partition and declared again may inherit the numbers
//! of the old queue, and drop all messages of an old channel (seen on 4.0.5). It cannot do so with a channel that it
//! has never seen.
//!
//! A deleted queue is noticed when a message to it is returned, or when this process declares the queue again. If
//! others delete and declare a queue between two messages, that is not noticed.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::returned_messages::RouteKey;

/// The shortest time between renewals. A new channel costs three answers of the broker, and topics without a queue must
/// not cost one for each message.
const LEAST: Duration = Duration::from_secs(1);
/// The largest number of topics without a queue that are remembered.
const MOST_KEYS: usize = 4096;

/// Tracks the topics whose messages were returned, and whether the channel is due for renewal.
#[derive(Default)]
pub(super) struct RouteChanges {
    /// The keys whose last message was returned.
    absent: HashSet<RouteKey>,
    wanted: bool,
    /// Set when others request a renewal.
    requested: Arc<AtomicBool>,
    renewed: Option<Instant>,
}

impl RouteChanges {
    /// Returns the flag by which others request a new channel.
    pub(super) fn requested(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.requested)
    }

    /// Records a returned message. Returns whether the previous message with this key was not returned.
    pub(super) fn came_back(&mut self, key: RouteKey) -> bool {
        if self.absent.len() >= MOST_KEYS {
            self.absent.clear();
        }
        let is_new = self.absent.insert(key);
        self.wanted |= is_new;
        is_new
    }

    /// Records a message that a queue took.
    pub(super) fn arrived(&mut self, key: RouteKey) {
        // Nearly always empty.
        if !self.absent.is_empty() {
            self.absent.remove(&key);
        }
    }

    /// Returns whether the channel is to be renewed now.
    pub(super) fn is_due(&mut self) -> bool {
        if self.requested.load(Ordering::Acquire) {
            self.requested.store(false, Ordering::Release);
            self.wanted = true;
        }
        self.wanted && self.renewed.is_none_or(|at| at.elapsed() >= LEAST)
    }

    /// Records that a channel was opened: all changes so far are older.
    pub(super) fn opened(&mut self) {
        self.requested.store(false, Ordering::Release);
        self.wanted = false;
    }

    /// Records that the channel is being replaced, or cannot be.
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
    async fn each_deleted_queue_renews_the_channel_once() {
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
        // The missing queue is known already.
        assert!(!changes.came_back(key("a")));
        assert!(!changes.is_due());
        // Another missing queue, too soon.
        assert!(changes.came_back(key("b")));
        assert!(!changes.is_due());
        tokio::time::advance(LEAST).await;
        assert!(changes.is_due());
        changes.renewed();
        tokio::time::advance(LEAST).await;
        assert!(!changes.is_due());
        // The queue existed again, and was deleted again.
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
