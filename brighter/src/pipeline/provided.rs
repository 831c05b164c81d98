//! [`Provided`]: what a processor is built with that the steps of its handlers need.

use std::fmt;
use std::sync::Arc;

use crate::layer::{FeatureSwitches, MonitorSink};
use crate::policy::PolicyRegistry;

/// What a processor is built with that the steps of its handlers need.
#[derive(Clone, Default)]
pub(crate) struct Provided {
    pub(crate) policies: PolicyRegistry,
    pub(crate) switches: Option<Arc<dyn FeatureSwitches>>,
    pub(crate) monitor: Option<Arc<dyn MonitorSink>>,
}

impl fmt::Debug for Provided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provided")
            .field("policies", &self.policies)
            .field("switches", &self.switches.is_some())
            .field("monitor", &self.monitor.is_some())
            .finish()
    }
}
