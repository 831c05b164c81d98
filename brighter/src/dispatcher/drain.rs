//! Ending: performers take no more messages, finish what they have in hand, and are cut short when time is over.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::AbortHandle;

use super::Inner;
use super::registered::Running;
use super::status::ShutdownReport;

/// How long performers that were cut short may take to be gone.
const CUT_DEADLINE: Duration = Duration::from_secs(1);

/// Aborts the tasks when it is dropped, so that a caller that gives up waiting for a drain leaves none running.
struct AbortOnDrop(Vec<AbortHandle>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

impl Inner {
    /// Ends these performers within the time to drain, and reports the handlings that were cancelled.
    pub(super) async fn drain(&self, running: Vec<Running>) -> ShutdownReport {
        let runs: Vec<_> = running.iter().map(|running| running.run).collect();
        let cuts: Vec<_> = running.iter().map(|running| running.cut.clone()).collect();
        let aborts = running.iter().map(|running| running.supervisor.abort_handle());
        let _aborts = AbortOnDrop(aborts.collect());
        running.iter().for_each(|running| running.stop.cancel());
        let mut ends = pin!(join_all(running.into_iter().map(|running| running.supervisor)));
        if tokio::time::timeout(self.drain, &mut ends).await.is_ok() {
            return ShutdownReport::default();
        }
        // What they have in hand goes back to its channel as their tasks are dropped. The note of it is taken
        // first, for it goes with them.
        let interrupted = self.statuses.in_flight(&runs);
        cuts.iter().for_each(|cut| cut.cancel());
        // A handler that blocks its thread cannot be cut short: it must not hold up the end as well.
        let _ = tokio::time::timeout(CUT_DEADLINE, ends).await;
        ShutdownReport { interrupted }
    }
}
