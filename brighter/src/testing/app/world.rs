//! The [`World`]: what outlives an application.

use std::sync::Arc;

use super::journal::Journal;
use super::timeline::Timeline;
use crate::in_memory::broker::InMemoryBroker;
use crate::in_memory::outbox::InMemoryOutbox;
use crate::testing::FaultyBroker;

/// The parts that outlive an application that dies, and are there for the next.
pub(in crate::testing) struct World {
    pub(in crate::testing) broker: FaultyBroker,
    pub(super) outbox: InMemoryOutbox,
    pub(in crate::testing) journal: Arc<Journal>,
}

impl World {
    pub(in crate::testing) fn new() -> Self {
        let (broker, journal) = (FaultyBroker::new(InMemoryBroker::new()), Journal::new());
        broker.recorded_by(&journal);
        Self {
            broker,
            outbox: InMemoryOutbox::new(),
            journal,
        }
    }

    /// Everything that happened in it.
    pub(in crate::testing) fn timeline(&self) -> String {
        Timeline(&self.journal.entries()).to_string()
    }
}
