//! [`Provided`]: what a processor is built with that the steps of its handlers need.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::duplicate::UnsentSlot;
use crate::layer::{ClaimedElsewhere, FeatureSwitches, MonitorSink};
use crate::policy::PolicyRegistry;
use brighter_core::inbox::Inbox;
use brighter_core::outbox::Outbox;

/// The parts of a processor that the steps of its handlers need.
#[derive(Clone, Default)]
pub(crate) struct Provided {
    pub(crate) policies: PolicyRegistry,
    pub(crate) switches: Option<Arc<dyn FeatureSwitches>>,
    pub(crate) monitor: Option<Arc<dyn MonitorSink>>,
    pub(crate) inbox: Option<Arc<dyn Inbox>>,
    pub(crate) outbox: Option<Arc<dyn Outbox>>,
    /// The sender of messages that a first handling has left, where no sweeper of this process sends them.
    pub(crate) unsent: UnsentSlot,
    /// The requests that wait for claims of others in the inbox.
    pub(crate) claimed: Arc<ClaimedElsewhere>,
    /// Is told of every call, in tests.
    #[cfg(feature = "testing")]
    pub(crate) observer: Option<Arc<dyn super::Observer>>,
    /// The contexts in which the inbox is used.
    contexts: Arc<Mutex<HashSet<String>>>,
}

impl Provided {
    /// Whether nobody has taken this context before, for whatever request.
    pub(super) fn take_context(&self, context: &str) -> bool {
        let mut taken = self.contexts.lock().unwrap_or_else(PoisonError::into_inner);
        taken.insert(context.to_owned())
    }
}

impl fmt::Debug for Provided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provided")
            .field("policies", &self.policies)
            .field("inbox", &self.inbox.is_some())
            .field("outbox", &self.outbox.is_some())
            .field("switches", &self.switches.is_some())
            .field("monitor", &self.monitor.is_some())
            .finish()
    }
}
