//! A [`Watcher`] is told what happens to every message, for tests that assert it.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use brighter_core::message::{ChannelName, Message};

/// Is told what happens to every message of an in-memory broker. It is called under the lock of a queue, and
/// so must not call the broker.
pub(crate) trait Watcher: Send + Sync {
    /// A copy is in the channel; `moved` if it came from another channel rather than from a producer.
    fn arrived(&self, channel: &ChannelName, message: &Message, moved: bool);

    /// A consumer has it.
    fn delivered(&self, channel: &ChannelName, message: &Message);

    /// A copy is no longer in the hands of its consumer, or no longer waits. What moves has arrived before it
    /// departs, so that it is never nowhere.
    fn departed(&self, channel: &ChannelName, message: &Message, how: Departure);
}

/// How a copy of a message came out of the hands of its consumer, or of its channel.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Departure {
    /// The message was acked.
    Done,
    /// The message was given back as it was.
    Returned,
    /// The message comes again after this long.
    Again(Duration),
    /// The message went to another channel.
    Moved,
}

/// The watcher of a broker, if it has one.
#[derive(Clone)]
pub(super) struct WatcherSlot(Arc<OnceLock<Arc<dyn Watcher>>>);

impl WatcherSlot {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    #[cfg(feature = "testing")]
    pub(super) fn set(&self, watcher: Arc<dyn Watcher>) -> bool {
        self.0.set(watcher).is_ok()
    }

    pub(super) fn tell(&self, what: impl FnOnce(&dyn Watcher)) {
        if let Some(watcher) = self.0.get() {
            what(&**watcher);
        }
    }
}

impl fmt::Debug for WatcherSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WatcherSlot")
            .field(&self.0.get().is_some())
            .finish()
    }
}
