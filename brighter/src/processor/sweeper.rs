//! The [`Sweeper`]: sends what the outbox still holds.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use super::relay::Relay;
use crate::outbox::{Claim, OutboxError};

/// Sends what the outbox still holds: messages that were deposited in a transaction, or whose first sending
/// failed, or whose process died. It runs in the background of a processor that has an outbox and a broker,
/// oldest message first, and no error ends it.
///
/// Several processes may sweep one outbox; each message is claimed by one.
///
/// ```
/// use brighter::Sweeper;
/// use std::time::Duration;
///
/// let sweeper = Sweeper::default().interval(Duration::from_millis(200)).batch(500);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweeper {
    pub(super) interval: Duration,
    pub(super) min_age: Duration,
    pub(super) batch: usize,
    pub(super) lease: Duration,
    pub(super) attempts: u32,
}

impl Default for Sweeper {
    /// Every second, a hundred messages at once, of any age, claimed for a minute, and a hundred attempts for each
    /// before it is dead: that is seven hours.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            min_age: Duration::ZERO,
            batch: 100,
            lease: Duration::from_secs(60),
            attempts: 100,
        }
    }
}

/// While the broker or the outbox is away the sweeper looks less and less often, down to this.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

impl Sweeper {
    /// Looks this often, and without a pause while there is more.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Tries to publish a message this often before it is dead: it stays in the outbox, and is not tried again
    /// until it is revived. Only what the broker refuses counts, not an outage. 0 is taken for 1.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Leaves messages alone that are younger than this.
    #[must_use]
    pub fn min_age(mut self, age: Duration) -> Self {
        self.min_age = age;
        self
    }

    /// Sends at most this many at once; 0 is taken for 1.
    #[must_use]
    pub fn batch(mut self, messages: usize) -> Self {
        self.batch = messages.max(1);
        self
    }

    /// Claims messages for this long. It must be longer than the broker takes to confirm a batch; a process
    /// that dies while sending holds its messages up for as long.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sweeps until it is told to end.
    pub(super) async fn run(self, relay: Arc<Relay>, ended: Arc<CancellationToken>) {
        let mut wait = self.interval;
        let mut away = false;
        loop {
            tokio::select! {
                biased;
                () = ended.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            #[cfg(feature = "metrics")]
            relay.measure().await;
            // A sweep that has begun is finished: its messages are claimed.
            // A panic is one of the broker's or the outbox's, which may be the application's own.
            let swept = AssertUnwindSafe(self.sweep(&relay, &ended)).catch_unwind().await;
            match swept.unwrap_or_else(|_| Err(OutboxError::Other("the sweep panicked".into()))) {
                Ok(Swept::All) => {
                    relay.sweeping.complete();
                    if std::mem::take(&mut away) {
                        tracing::info!("the sweeper sends again");
                    }
                    wait = self.interval;
                }
                Ok(Swept::Outage { reason }) => {
                    relay.sweeping.cut_short();
                    if !std::mem::replace(&mut away, true) {
                        tracing::warn!(reason, "the broker is away; the outbox keeps what is posted");
                    }
                    wait = longer(wait);
                }
                Err(error) => {
                    relay.sweeping.failed(crate::error::report(&error));
                    if !std::mem::replace(&mut away, true) {
                        tracing::warn!(error = crate::error::report(&error), "the outbox cannot be swept");
                    }
                    wait = longer(wait);
                }
            }
        }
    }

    /// Sends one batch after another until nothing is left that can be sent now.
    async fn sweep(&self, relay: &Relay, ended: &CancellationToken) -> Result<Swept, OutboxError> {
        loop {
            let which = Claim::Oldest {
                limit: self.batch,
                min_age: self.min_age,
            };
            let sent = relay.send_claim(which).await?;
            if let Some(error) = sent.not_noted {
                return Err(error);
            }
            if let Some((_, error)) = sent.outages.first() {
                return Ok(Swept::Outage {
                    reason: crate::error::report(error),
                });
            }
            if sent.done.is_empty() && sent.refused.is_empty() || ended.is_cancelled() {
                return Ok(Swept::All);
            }
        }
    }
}

enum Swept {
    All,
    Outage { reason: String },
}

fn longer(wait: Duration) -> Duration {
    wait.max(Duration::from_millis(100))
        .saturating_mul(2)
        .min(LONGEST_WAIT)
}
