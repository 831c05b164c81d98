//! [`Shared`]: what the clones of a faulty broker and its consumers share.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::Notify;

use super::link::Link;
use super::script::Script;
use crate::in_memory::broker::InMemoryBroker;
use crate::testing::app::Journal;

/// The state that the clones of a faulty broker and its consumers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) inner: InMemoryBroker,
    pub(super) script: Mutex<Script>,
    pub(super) link: Arc<Link>,
    /// Notified when a message was published, for those that are to come after it.
    pub(super) published: Notify,
    pub(super) journal: OnceLock<Arc<Journal>>,
}

impl Shared {
    /// Returns this broker, with no faults yet.
    pub(super) fn new(inner: InMemoryBroker) -> Self {
        Self {
            inner,
            script: Mutex::default(),
            link: Arc::default(),
            published: Notify::new(),
            journal: OnceLock::new(),
        }
    }

    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
