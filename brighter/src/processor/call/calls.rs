//! [`Calls`]: the calls of a processor.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::listener::Listener;
use crate::telemetry::metrics::SentMetrics;
use brighter_core::channel::Broker;

/// How many calls may wait at once unless the builder says otherwise.
pub(in super::super) const AT_MOST: usize = 1_000;

/// How it stands with the calls of a processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CallStats {
    /// How many wait for their replies.
    pub in_flight: usize,
    /// How many replies came for nobody since the processor was built: too late, or once more.
    pub dropped_replies: u64,
}

/// The calls of a processor.
pub(in super::super) struct Calls {
    pub(super) listener: Arc<Listener>,
    pub(super) metrics: SentMetrics,
}

impl Calls {
    pub(in super::super) fn new(
        broker: Arc<dyn Broker>,
        limit: usize,
        ended: Arc<CancellationToken>,
    ) -> Self {
        Self {
            listener: Arc::new(Listener::new(broker, limit, ended)),
            metrics: SentMetrics::default(),
        }
    }

    pub(in super::super) async fn close(&self) {
        self.listener.close().await;
    }
}
