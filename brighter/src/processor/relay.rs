//! The [`Relay`]: takes messages from the outbox to the broker. Posting, clearing and sweeping all go through
//! here.

use std::sync::Arc;
#[cfg(feature = "metrics")]
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::RwLock;
#[cfg(feature = "metrics")]
use tokio::time::Instant;

use super::Sweeper;
use super::health::Sweeping;
use crate::channel::{Broker, PublishError};
use crate::id::MessageId;
use crate::message::Message;
use crate::outbox::{Claim, Claimed, Failure, Outbox, OutboxError};
#[cfg(feature = "metrics")]
use crate::telemetry::metrics;
use crate::telemetry::metrics::{Began, SentMetrics};
use crate::telemetry::spans;

/// Takes messages from the outbox to the broker.
pub(super) struct Relay {
    outbox: Arc<dyn Outbox>,
    broker: Option<Arc<dyn Broker>>,
    settings: Sweeper,
    /// What the sweeper says of itself, for who asks for health.
    pub(super) sweeping: Sweeping,
    /// Held for reading while messages are under way, so that closing can wait for them.
    under_way: RwLock<()>,
    metrics: SentMetrics,
    /// When the metrics were told last what the outbox holds.
    #[cfg(feature = "metrics")]
    measured: Mutex<Option<Instant>>,
}

/// How long a message that the broker refused is left alone: doubled with each attempt between these two.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How long closing waits for messages under way.
const CLOSE_DEADLINE: Duration = Duration::from_secs(10);

/// The outbox counts its rows for it.
#[cfg(feature = "metrics")]
const MEASURE_EVERY: Duration = Duration::from_secs(5);

impl Relay {
    pub(super) fn new(outbox: Arc<dyn Outbox>, broker: Option<Arc<dyn Broker>>, settings: Sweeper) -> Self {
        Self {
            outbox,
            broker,
            settings,
            sweeping: Sweeping::new(),
            under_way: RwLock::new(()),
            metrics: SentMetrics::default(),
            #[cfg(feature = "metrics")]
            measured: Mutex::default(),
        }
    }

    pub(super) fn outbox(&self) -> &Arc<dyn Outbox> {
        &self.outbox
    }

    pub(super) fn has_broker(&self) -> bool {
        self.broker.is_some()
    }

    /// Stores messages that are sent at once: nobody else sends them unless this process dies before it has.
    /// Gives the ids of those that the outbox holds already: they are not ours to send.
    pub(super) async fn deposit_claimed(&self, messages: &[Message]) -> Result<Vec<MessageId>, OutboxError> {
        self.outbox.deposit(messages, Some(self.settings.lease)).await
    }

    /// Claims messages and sends them.
    pub(super) async fn send_claim(&self, which: Claim<'_>) -> Result<Sent, OutboxError> {
        let claimed = self.outbox.claim(which, self.settings.lease).await?;
        if claimed.is_empty() {
            return Ok(Sent::default());
        }
        let op = match which {
            Claim::Ids(_) => spans::batch("clear", claimed.len()),
            _ => spans::sweep(claimed.len()),
        };
        Ok(op.run(self.send(&claimed)).await)
    }

    /// Sends messages that are claimed, all at once and in order, and notes in the outbox what became of each.
    pub(super) async fn send(&self, claimed: &[Claimed]) -> Sent {
        let mut sent = Sent::default();
        let Some(broker) = &self.broker else {
            return sent;
        };
        if claimed.is_empty() {
            return sent;
        }
        let _under_way = self.under_way.read().await;
        let results = match claimed {
            [only] => vec![self.publish(broker, &only.message).await],
            several => {
                join_all(
                    several
                        .iter()
                        .map(|claimed| self.publish(broker, &claimed.message)),
                )
                .await
            }
        };

        let (mut untried, mut refused) = (Vec::new(), Vec::new());
        for (Claimed { message, attempts }, result) in claimed.iter().zip(results) {
            let id = message.header.id.clone();
            match result {
                Ok(()) => sent.done.push(id),
                // The message is not at fault, so it bears no mark.
                Err(error) if error.is_outage() => {
                    untried.push(id.clone());
                    sent.outages.push((id, error));
                }
                Err(error) => {
                    let report = crate::error::report(&error);
                    let failure = Failure::new(id.clone(), report.as_str(), pause_after(*attempts));
                    let topic = &message.header.topic;
                    if attempts.saturating_add(1) < self.settings.attempts {
                        tracing::warn!(%id, %topic, error = report, "the outbox keeps a message that the broker would not take");
                        refused.push(failure);
                    } else {
                        tracing::error!(%id, %topic, error = report, "the broker has refused a message too often; it is dead until it is revived");
                        refused.push(failure.last());
                    }
                    sent.refused.push((id, error));
                }
            }
        }
        // One that cannot be noted must not keep the others from it: each is tried, and the first error told.
        let mut noted = Ok(());
        if !sent.done.is_empty() {
            noted = noted.and(self.outbox.mark_dispatched(&sent.done).await);
        }
        if !refused.is_empty() {
            noted = noted.and(self.outbox.mark_failed(&refused).await);
        }
        if !untried.is_empty() {
            noted = noted.and(self.outbox.release(&untried).await);
        }
        if let Err(error) = &noted {
            tracing::warn!(
                error = crate::error::report(error),
                "the outbox could not note what became of messages; they may be sent again"
            );
        }
        sent.not_noted = noted.err();
        sent
    }

    async fn publish(&self, broker: &Arc<dyn Broker>, message: &Message) -> Result<(), PublishError> {
        let began = Began::now();
        let published = spans::published(broker, message).await;
        let failed = published.as_ref().err().map(PublishError::kind);
        self.metrics
            .sent(broker.system(), &message.header.topic, began, failed);
        published
    }

    /// Tells the metrics what the outbox holds, now and then.
    #[cfg(feature = "metrics")]
    pub(super) async fn measure(&self) {
        let is_due = {
            let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
            let is_due = measured.is_none_or(|at| at.elapsed() >= MEASURE_EVERY);
            if is_due {
                *measured = Some(Instant::now());
            }
            is_due
        };
        // An outbox that does not answer is told of by the sweep.
        if is_due && let Ok(Ok(status)) = tokio::time::timeout(MEASURE_EVERY, self.outbox.status()).await {
            metrics::outbox(&status);
        }
    }

    /// Waits until nothing is under way, but not for ever.
    pub(super) async fn idle(&self) {
        if tokio::time::timeout(CLOSE_DEADLINE, self.under_way.write())
            .await
            .is_err()
        {
            tracing::warn!(waited = ?CLOSE_DEADLINE, "closing while messages are under way; the outbox keeps them");
        }
    }
}

/// What became of messages that were sent.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) done: Vec<MessageId>,
    pub(super) outages: Vec<(MessageId, PublishError)>,
    pub(super) refused: Vec<(MessageId, PublishError)>,
    /// The outbox could not note all of it. What it could not stays claimed until its lease ends, and is then
    /// sent again.
    pub(super) not_noted: Option<OutboxError>,
}

fn pause_after(attempts: u32) -> Duration {
    FIRST_PAUSE
        .saturating_mul(2_u32.saturating_pow(attempts))
        .min(LONGEST_PAUSE)
}
