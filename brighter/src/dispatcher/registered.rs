//! [`Registered`]: a subscription that a dispatcher knows, running or not.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::controls::Controls;
use super::route::Route;
use crate::channel::SubscriptionSettings;

/// A subscription with what brings its messages to their handlers. It outlives its performers: what it was told
/// while it ran holds when it is started again.
pub(super) struct Registered {
    pub(super) settings: Arc<SubscriptionSettings>,
    pub(super) route: Arc<dyn Route>,
    /// What its performers are told while they run.
    pub(super) controls: Arc<Controls>,
    /// How many performers it is to have while it runs.
    pub(super) wanted: watch::Sender<usize>,
}

/// A subscription that was started.
pub(super) struct Running {
    /// The number of this start on the board.
    pub(super) run: u64,
    /// Cancelled to have its performers take no more messages.
    pub(super) stop: CancellationToken,
    /// Cancelled to have them dropped with what they have in hand.
    pub(super) cut: CancellationToken,
    /// Ends when all of them have.
    pub(super) supervisor: JoinHandle<()>,
}

impl Registered {
    pub(super) fn new(settings: SubscriptionSettings, route: Arc<dyn Route>) -> Self {
        Self {
            controls: Arc::new(Controls::new(&settings)),
            wanted: watch::Sender::new(settings.performers.max(1)),
            settings: Arc::new(settings),
            route,
        }
    }

    pub(super) fn wanted(&self) -> usize {
        *self.wanted.borrow()
    }
}
