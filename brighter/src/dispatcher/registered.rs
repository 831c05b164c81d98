//! [`Registered`]: a subscription that a dispatcher knows, running or not.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::controls::Controls;
use super::route::Route;
use crate::subscription::{Performers, SubscriptionSettings};
use brighter_core::error::InvalidSetting;

/// A subscription with what brings its messages to their handlers. It outlives its performers: what it was told
/// while it ran holds when it is started again.
pub(super) struct Registered {
    pub(super) settings: Arc<SubscriptionSettings>,
    pub(super) route: Arc<dyn Route>,
    /// Whether a handler of its messages handles several in one call.
    pub(super) batches: bool,
    /// The control of the performers at run time.
    pub(super) controls: Arc<Controls>,
    /// How many performers it may have.
    pub(super) performers: watch::Sender<Performers>,
    /// How many of them it is to have now, if it runs.
    pub(super) wanted: watch::Sender<usize>,
}

/// A subscription that was started.
pub(super) struct Running {
    /// The number of this start in the registry.
    pub(super) run: u64,
    /// Cancelled to have its performers take no more messages.
    pub(super) stop: CancellationToken,
    /// Cancelled to have them dropped with what they have in hand.
    pub(super) cut: CancellationToken,
    /// Ends when all of them have.
    pub(super) supervisor: JoinHandle<()>,
}

impl Registered {
    pub(super) fn new(settings: SubscriptionSettings, route: Arc<dyn Route>, batches: bool) -> Self {
        let performers = Performers::from(settings.performers..=settings.performers_at_most);
        Self {
            performers: watch::Sender::new(performers),
            controls: Arc::new(Controls::new(&settings)),
            wanted: watch::Sender::new(performers.least()),
            settings: Arc::new(settings),
            route,
            batches,
        }
    }

    /// Changes how many performers it may have; how many it has stays, if it may.
    pub(super) fn scale(&self, performers: Performers) -> Result<(), InvalidSetting> {
        if let Some(invalid) = performers.invalid() {
            return Err(invalid);
        }
        if self.settings.ordered && performers != Performers::from(1) {
            let allowed = "1, because the subscription keeps order by key";
            return Err(InvalidSetting::new("performers", performers, allowed));
        }
        self.performers.send_replace(performers);
        self.wanted
            .send_modify(|wanted| *wanted = (*wanted).clamp(performers.least(), performers.most()));
        Ok(())
    }

    pub(super) fn wanted(&self) -> usize {
        *self.wanted.borrow()
    }
}
