//! The [`Relay`]: takes messages from the outbox to the broker. Posting, clearing and sweeping all go through
//! here.

mod capabilities;
mod full;
mod recording;
mod sent;
mod unsent;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
#[cfg(feature = "metrics")]
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::sync::RwLock;
#[cfg(feature = "metrics")]
use tokio::time::Instant;

use full::FullTopics;
pub(super) use sent::{Sent, Unrecorded};

use super::circuits::Circuits;
use super::sweep_stats::SweepStats;
use super::sweeper::Sweeper;
#[cfg(feature = "metrics")]
use crate::telemetry::metrics;
use crate::telemetry::metrics::{Began, SentMetrics};
use crate::telemetry::{WarningLimit, spans};
use brighter_core::__private::Bell;
use brighter_core::__private::report;
use brighter_core::channel::{Broker, PublishError};
use brighter_core::id::MessageId;
use brighter_core::message::{Message, RoutingKey};
use brighter_core::outbox::{Arrival, Claim, Claimed, Outbox, OutboxError};

/// Takes messages from the outbox to the broker.
pub(super) struct Relay {
    outbox: Arc<dyn Outbox>,
    broker: Option<Arc<dyn Broker>>,
    /// The reports of the sweeper, for the health of the processor.
    pub(super) sweep_stats: SweepStats,
    pub(super) settings: Sweeper,
    pub(super) circuits: Circuits,
    /// The topics that full channels refuse, for the health of the processor.
    pub(super) full: FullTopics,
    /// How often it is said that a topic is unroutable, of messages that stay and of those that are dead.
    unroutable: WarningLimit<(RoutingKey, bool)>,
    /// Tells the sweeper that there is something to send.
    pub(super) bell: Bell,
    /// Whether the broker or the outbox was away the last time; told once.
    pub(super) is_away: AtomicBool,
    /// Fires the schedules of recurring work.
    #[cfg(feature = "schedule")]
    pub(super) scheduler: Option<crate::schedule::Scheduler>,
    /// Held for reading while messages are under way, so that closing can wait for them.
    under_way: RwLock<()>,
    metrics: SentMetrics,
    /// When the metrics were told last what the outbox holds.
    #[cfg(feature = "metrics")]
    measured: Mutex<Option<Instant>>,
    /// Is told when the outbox was, in tests.
    #[cfg(feature = "testing")]
    observer: Option<Arc<dyn crate::pipeline::Observer>>,
}

/// How long closing waits for messages under way.
const CLOSE_DEADLINE: Duration = Duration::from_secs(10);

/// The outbox counts its rows for it.
#[cfg(feature = "metrics")]
const MEASURE_EVERY: Duration = Duration::from_secs(5);

/// How many of one topic in order a call that is not the sweeper sends at once.
const AT_ONCE: usize = 100;

impl Relay {
    pub(super) fn new(outbox: Arc<dyn Outbox>, broker: Option<Arc<dyn Broker>>, settings: Sweeper) -> Self {
        Self {
            outbox,
            broker,
            circuits: Circuits::new(settings.pause),
            settings,
            sweep_stats: SweepStats::new(),
            full: FullTopics::default(),
            unroutable: WarningLimit::default(),
            bell: Bell::new(),
            is_away: AtomicBool::new(false),
            #[cfg(feature = "schedule")]
            scheduler: None,
            under_way: RwLock::new(()),
            metrics: SentMetrics::default(),
            #[cfg(feature = "metrics")]
            measured: Mutex::default(),
            #[cfg(feature = "testing")]
            observer: None,
        }
    }

    /// Tells this observer, if there is one, when the outbox was told what became of messages.
    #[cfg(feature = "testing")]
    pub(super) fn observed_by(mut self, observer: Option<Arc<dyn crate::pipeline::Observer>>) -> Self {
        self.observer = observer;
        self
    }

    /// Lets the sweeper fire these schedules.
    #[cfg(feature = "schedule")]
    pub(super) fn with_scheduler(mut self, scheduler: Option<crate::schedule::Scheduler>) -> Self {
        self.scheduler = scheduler;
        self
    }

    pub(super) fn outbox(&self) -> &Arc<dyn Outbox> {
        &self.outbox
    }

    pub(super) fn has_broker(&self) -> bool {
        self.broker.is_some()
    }

    /// The topics whose messages leave in the order of their deposits.
    pub(super) fn in_order(&self) -> &[RoutingKey] {
        &self.settings.in_order
    }

    /// Stores messages that are sent at once: nobody else sends them unless this process dies before it has.
    /// Gives the ids of those that the outbox holds already: they are not ours to send.
    pub(super) async fn deposit_claimed(&self, messages: &[Message]) -> Result<Vec<MessageId>, OutboxError> {
        self.outbox.deposit(messages, Some(self.settings.lease)).await
    }

    /// Stores a message of a topic in order, and sends it at once with all that goes before it, unless somebody
    /// else is at it or what goes before it cannot be sent. Gives `None`, if the outbox holds it already.
    pub(super) async fn deposit_in_order(&self, message: &Message) -> Result<Option<Sent>, OutboxError> {
        // A claim that ends at once, so that the sweeper is not woken for what is sent here.
        let lease = Some(Duration::ZERO);
        let known = self.outbox.deposit(std::slice::from_ref(message), lease).await?;
        if !known.is_empty() {
            return Ok(None);
        }
        self.send_deposited_in_order(message).await.map(Some)
    }

    /// Sends a message of a topic in order that is in the outbox, with all that goes before it.
    pub(super) async fn send_deposited_in_order(&self, message: &Message) -> Result<Sent, OutboxError> {
        self.send_in_order(&message.header.topic, std::slice::from_ref(&message.header.id))
            .await
    }

    /// How long a message that is sent at once is claimed.
    pub(super) fn lease(&self) -> Duration {
        self.settings.lease
    }

    /// Sends messages of a topic in order until these had their turn. What then is left is the sweeper's.
    async fn send_in_order(&self, topic: &RoutingKey, until: &[MessageId]) -> Result<Sent, OutboxError> {
        let mut all = Sent::default();
        loop {
            let (limit, min_age) = (AT_ONCE, Duration::ZERO);
            let claim = Claim::InOrder {
                topic,
                limit,
                min_age,
            };
            let sent = match self.claim(claim).await {
                Ok(claimed) => self.send(&claimed).await,
                // It is in the outbox, whatever becomes of it now.
                Err(error) => {
                    let error = report(&error);
                    tracing::warn!(%topic, error, "could not read the order of messages from the outbox; the sweeper tries again");
                    Sent::default()
                }
            };
            let is_stuck = sent.done.is_empty() || !sent.is_clean();
            all.add(sent);
            if is_stuck || until.iter().all(|id| all.done.contains(id)) {
                // Others may have been deposited meanwhile, who left them to us.
                self.bell.ring(Arrival::Here);
                return Ok(all);
            }
        }
    }

    /// Sends these messages now, with all that goes before them where order is kept.
    pub(super) async fn clear(&self, ids: &[MessageId]) -> Result<Sent, OutboxError> {
        let except = self.in_order();
        let claimed = self.claim(Claim::Ids { ids, except }).await?;
        let mut sent = match claimed.len() {
            0 => Sent::default(),
            count => spans::batch("clear", count).run(self.send(&claimed)).await,
        };
        if except.is_empty() || claimed.len() == ids.len() {
            return Ok(sent);
        }
        let rest: Vec<_> = ids.iter().filter(|id| !sent.done.contains(id)).cloned().collect();
        let messages = match self.outbox.inspection() {
            Some(inspection) => Some(inspection.get(&rest).await?),
            None => None,
        };
        for topic in except {
            let of_topic: Vec<_> = match &messages {
                Some(messages) => {
                    let of_topic = messages.iter().filter(|message| message.header.topic == *topic);
                    of_topic.map(|message| message.header.id.clone()).collect()
                }
                // Each of them may be of any topic in order.
                None => rest
                    .iter()
                    .filter(|id| !sent.done.contains(id))
                    .cloned()
                    .collect(),
            };
            if !of_topic.is_empty() {
                sent.add(self.send_in_order(topic, &of_topic).await?);
            }
        }
        let is_asked = |id: &MessageId| ids.contains(id);
        sent.done.retain(is_asked);
        sent.outages.retain(|(id, _)| is_asked(id));
        sent.refused.retain(|(id, _)| is_asked(id));
        Ok(sent)
    }

    /// Sends messages that the sweeper has claimed.
    pub(super) async fn sweep(&self, claimed: &[Claimed]) -> Sent {
        if claimed.is_empty() {
            return Sent::default();
        }
        spans::sweep(claimed.len()).run(self.send(claimed)).await
    }

    /// Makes those outstanding whose time has come, at most as many as the sweeper sends at once. Says whether there
    /// may be more.
    pub(super) async fn make_due(&self) -> Result<bool, OutboxError> {
        // An outbox that schedules nothing has nothing that becomes due.
        let Some(scheduling) = self.outbox.scheduling() else {
            return Ok(false);
        };
        let due = scheduling.make_due(self.settings.batch).await?;
        if due > 0 {
            // Topics in order have tasks of their own.
            self.bell.ring(Arrival::Here);
        }
        Ok(due >= self.settings.batch as u64)
    }

    pub(super) async fn claim(&self, which: Claim<'_>) -> Result<Vec<Claimed>, OutboxError> {
        brighter_core::__private::fault_point!("sweep.read", OutboxError::Unavailable);
        let claimed = self.outbox.claim(which, self.settings.lease).await?;
        brighter_core::__private::fault_point!("sweep.claimed");
        Ok(claimed)
    }

    /// Sends messages that are claimed, all at once and in order, and notes in the outbox what became of each.
    pub(super) async fn send(&self, claimed: &[Claimed]) -> Sent {
        let Some(broker) = &self.broker else {
            return Sent::default();
        };
        if claimed.is_empty() {
            return Sent::default();
        }
        let _under_way = self.under_way.read().await;
        let results = self.publish(&**broker, claimed).await;
        self.conclude(claimed, results).await
    }

    /// Sends a message that was deposited just now and is claimed: as [`send`](Self::send) does, but with nothing to
    /// gather while all is well. Gives why the broker refused it, if it did.
    pub(super) async fn send_one(&self, claimed: &Claimed) -> Option<PublishError> {
        let broker = self.broker.as_ref()?;
        let _under_way = self.under_way.read().await;
        let message = &claimed.message;
        let published = self.published(&**broker, message).await;
        if published.is_ok() && self.circuits.is_quiet() && self.full.are_none() {
            // If it cannot be noted that is in the log, and the message is sent again when its claim ends.
            let done = std::slice::from_ref(&message.header.id);
            let _ = self.record(done, Vec::new(), Vec::new()).await;
            return None;
        }
        let sent = self
            .conclude(std::slice::from_ref(claimed), vec![Some(published)])
            .await;
        sent.refused.into_iter().next().map(|(_, error)| error)
    }

    async fn published(&self, broker: &dyn Broker, message: &Message) -> Result<(), PublishError> {
        let began = Began::now();
        let published = brought(broker, message).await;
        let failed = published.as_ref().err().map(PublishError::kind);
        self.metrics
            .sent(broker.system(), &message.header.topic, began, failed);
        published
    }

    async fn all_published(
        &self,
        broker: &dyn Broker,
        messages: Vec<&Message>,
    ) -> Vec<Result<(), PublishError>> {
        let topics: Vec<_> = messages.iter().map(|message| &message.header.topic).collect();
        let began = Began::now();
        brighter_core::__private::fault_point!("relay.publish");
        let mut published = Vec::with_capacity(topics.len());
        for (topic, result) in topics.into_iter().zip(broker.publish_all(messages).await) {
            let result = confirmed(result).await;
            let failed = result.as_ref().err().map(PublishError::kind);
            self.metrics.sent(broker.system(), topic, began, failed);
            published.push(result);
        }
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

    /// Publishes messages: those of a topic in order one by one, until one fails; all others at once. `None` is for
    /// one that was not tried.
    async fn publish(
        &self,
        broker: &dyn Broker,
        claimed: &[Claimed],
    ) -> Vec<Option<Result<(), PublishError>>> {
        if let [only] = claimed {
            return vec![Some(self.published(broker, &only.message).await)];
        }
        if self.in_order().is_empty() {
            let messages = claimed.iter().map(|claimed| &claimed.message).collect();
            let published = self.all_published(broker, messages).await;
            return published.into_iter().map(Some).collect();
        }
        let (mut at_once, mut lines) = (Vec::new(), HashMap::<&RoutingKey, Vec<usize>>::new());
        for (index, claimed) in claimed.iter().enumerate() {
            let topic = &claimed.message.header.topic;
            if self.in_order().contains(topic) {
                lines.entry(topic).or_default().push(index);
            } else {
                at_once.push(index);
            }
        }
        let all = self.all_published(
            broker,
            at_once.iter().map(|index| &claimed[*index].message).collect(),
        );
        let one_by_one = join_all(lines.into_values().map(async |line| {
            let mut results = Vec::with_capacity(line.len());
            for index in line {
                let result = self.published(broker, &claimed[index].message).await;
                let is_over = result.is_err();
                results.push((index, result));
                if is_over {
                    break;
                }
            }
            results
        }));
        let (all, one_by_one) = join(all, one_by_one).await;
        let mut results: Vec<_> = claimed.iter().map(|_| None).collect();
        for (index, result) in at_once
            .into_iter()
            .zip(all)
            .chain(one_by_one.into_iter().flatten())
        {
            results[index] = Some(result);
        }
        results
    }

    /// Waits until nothing is under way, up to a deadline.
    pub(super) async fn idle(&self) {
        if tokio::time::timeout(CLOSE_DEADLINE, self.under_way.write())
            .await
            .is_err()
        {
            tracing::warn!(waited = ?CLOSE_DEADLINE, "closing with unconfirmed messages; the outbox keeps them");
        }
    }
}

/// Brings a message to the broker.
async fn brought(broker: &dyn Broker, message: &Message) -> Result<(), PublishError> {
    brighter_core::__private::fault_point!("relay.publish", PublishError::Disconnected);
    confirmed(broker.publish(message).await).await
}

/// A test may have it that the broker has a message and we are never told.
async fn confirmed(published: Result<(), PublishError>) -> Result<(), PublishError> {
    published?;
    brighter_core::__private::fault_point!("relay.confirm", PublishError::Disconnected);
    Ok(())
}
