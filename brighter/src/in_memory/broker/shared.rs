//! [`Shared`]: what the clones of an in-memory broker and their consumers share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::topology::QueueTable;
use brighter_core::channel::PublishError;
use brighter_core::message::Message;

/// The state that the clones of an in-memory broker and their consumers share.
#[derive(Debug)]
pub(super) struct Shared {
    topology: RwLock<QueueTable>,
    limit: AtomicUsize,
}

impl Shared {
    /// Returns a broker without channels, whose channels hold `limit` messages each.
    pub(super) fn new(topology: QueueTable, limit: usize) -> Self {
        Self {
            topology: RwLock::new(topology),
            limit: AtomicUsize::new(limit),
        }
    }

    pub(super) fn set_limit(&self, messages: usize) {
        self.limit.store(messages, Ordering::Relaxed);
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, QueueTable> {
        self.topology.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, QueueTable> {
        self.topology.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn publish(&self, message: &Message) -> Result<(), PublishError> {
        let topic = &message.header.topic;
        if let Some(published) = self.read().publish(message, self.limit()) {
            return published;
        }
        topic.validate()?;
        let mut topology = self.write();
        topology.learn(topic);
        let unroutable = || PublishError::Unroutable { topic: topic.clone() };
        topology
            .publish(message, self.limit())
            .unwrap_or_else(|| Err(unroutable()))
    }
}
