//! [`SweepTask`]: sends the messages of one topic in order, or those of all topics that have no task.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{join, join_all, pending};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::background::BackgroundTask;
use super::relay::{Relay, Sent, Unrecorded};
use crate::policy::{CircuitState, spread};
use brighter_core::message::RoutingKey;
use brighter_core::outbox::{Arrival, Claim, Claimed, OutboxError};

/// While the broker or the outbox is away the sweeper looks less and less often, down to this.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How soon to look for what is in a transaction that is not committed yet; then twice as long, and so on.
const SOON: Duration = Duration::from_millis(5);

/// By how much the interval is spread at random, either way.
const JITTER: f64 = 0.1;

/// Starts the task that sweeps until `ended` is cancelled.
pub(super) fn start(runtime: &Handle, relay: &Arc<Relay>, ended: &Arc<CancellationToken>) -> BackgroundTask {
    let (relay, until) = (Arc::clone(relay), Arc::clone(ended));
    let run = move || sweep(Arc::clone(&relay), Arc::clone(&until)).boxed();
    BackgroundTask::spawn("sweeper", runtime, Arc::clone(ended), run)
}

/// Sweeps until it is told to end.
async fn sweep(relay: Arc<Relay>, ended: Arc<CancellationToken>) {
    let (relay, ended) = (&*relay, &*ended);
    // Before the first look, so that nothing comes between.
    let arrivals = relay.outbox().arrivals();
    // A topic in order is sent one by one, and must not hold up the others.
    let in_order = relay.in_order().iter();
    let tasks = in_order.map(|topic| SweepTask::in_order(topic, relay, ended));
    let tasks = [SweepTask::main(relay, ended)].into_iter().chain(tasks);
    let sweeping = join_all(tasks.map(SweepTask::run));
    let hearing = async {
        let Some(mut arrivals) = arrivals else {
            return pending::<()>().await;
        };
        loop {
            relay.bell.ring(arrivals.next().await);
        }
    };
    // A sweep that has begun is finished by its task: its messages are claimed.
    tokio::select! {
        _ = sweeping => {}
        () = hearing => {}
    }
}

struct SweepTask<'a> {
    /// The topic whose order is kept.
    topic: Option<&'a RoutingKey>,
    relay: &'a Relay,
    ended: &'a CancellationToken,
    /// When to look again for messages whose time has come: not at every arrival, which tells nothing of them.
    clock: Instant,
    /// When the first schedule of recurring work is due, if that is known.
    due: Option<Instant>,
    /// The outcomes that the outbox could not record, and since when they are claimed. Not more than two batches, as nothing
    /// is claimed before they are recorded.
    unrecorded: Vec<(Unrecorded, Instant)>,
}

/// Messages that are claimed, and since when.
struct SweepBatch {
    messages: Vec<Claimed>,
    since: Instant,
}

impl<'a> SweepTask<'a> {
    /// All topics that have no task of their own.
    fn main(relay: &'a Relay, ended: &'a CancellationToken) -> Self {
        Self::of(None, relay, ended)
    }

    fn in_order(topic: &'a RoutingKey, relay: &'a Relay, ended: &'a CancellationToken) -> Self {
        Self::of(Some(topic), relay, ended)
    }

    fn of(topic: Option<&'a RoutingKey>, relay: &'a Relay, ended: &'a CancellationToken) -> Self {
        let clock = Instant::now();
        Self {
            topic,
            relay,
            ended,
            clock,
            due: None,
            unrecorded: Vec::new(),
        }
    }

    /// Sweeps until it is told to end.
    async fn run(mut self) {
        let relay = self.relay;
        let settings = &relay.settings;
        let mut heard = self.relay.bell.arrivals();
        let mut wait = settings.interval;
        // What may be committed at any moment is looked for in short intervals, which become longer.
        let mut soon = settings.interval;
        // At once, for what a process that died may have left.
        let mut next = Instant::now();
        let mut is_away = false;
        loop {
            tokio::select! {
                biased;
                () = self.ended.cancelled() => return,
                () = tokio::time::sleep_until(next) => {}
                arrival = heard.next(), if !is_away => {
                    let in_time = match arrival {
                        Arrival::Here => settings.min_age,
                        Arrival::ToCome => {
                            soon = SOON.min(settings.interval);
                            soon.max(settings.min_age)
                        }
                    };
                    next = next.min(Instant::now() + in_time);
                    continue;
                }
            }
            #[cfg(feature = "metrics")]
            if self.topic.is_none() {
                self.relay.measure().await;
            }
            // A sweep that has begun is finished: its messages are claimed.
            // A panic is one of the broker's or the outbox's, which may be the application's own.
            let swept = AssertUnwindSafe(self.sweep()).catch_unwind().await;
            let swept = swept.unwrap_or_else(|_| Err(OutboxError::Other("the sweep panicked".into())));
            is_away = matches!(swept, Err(_) | Ok(Swept::Outage { .. }));
            self.tell(&swept);
            next = Instant::now();
            if is_away {
                wait = longer(wait);
                next += spread(wait, JITTER);
                continue;
            }
            wait = settings.interval;
            soon = match swept {
                Ok(Swept::All { any: false }) => soon.saturating_mul(2).min(settings.interval),
                _ => settings.interval,
            };
            next += if soon < settings.interval {
                soon
            } else {
                spread(wait, JITTER)
            };
            // A schedule fires at its time, however long the interval is.
            if let Some(due) = self.due {
                next = next.min(due);
            }
        }
    }

    /// One line in the log when the broker or the outbox goes, and one when it is back, whichever task notices.
    fn tell(&self, swept: &Result<Swept, OutboxError>) {
        let was_away = self
            .relay
            .is_away
            .swap(!matches!(swept, Ok(Swept::All { .. })), Ordering::Relaxed);
        let stats = &self.relay.sweep_stats;
        match swept {
            Ok(Swept::All { .. }) => stats.complete(),
            Ok(Swept::Outage { .. }) => stats.cut_short(),
            Err(error) => stats.failed(brighter_core::__private::report(error)),
        }
        match swept {
            Ok(Swept::All { .. }) if was_away => tracing::info!("sweeper is sending again"),
            Ok(Swept::Outage { reason }) if !was_away => {
                tracing::warn!(reason, "broker unreachable; the outbox keeps posted messages");
            }
            Err(error) if !was_away => {
                tracing::warn!(
                    error = brighter_core::__private::report(error),
                    "sweeping the outbox failed"
                );
            }
            _ => {}
        }
    }

    async fn sweep(&mut self) -> Result<Swept, OutboxError> {
        self.settle().await?;
        let mut any = false;
        match self.topic {
            Some(topic) => loop {
                let limit = match self.relay.circuits.state(topic) {
                    CircuitState::Open => return Ok(Swept::All { any }),
                    CircuitState::HalfOpen => 1,
                    CircuitState::Closed => self.relay.settings.batch,
                };
                let min_age = self.relay.settings.min_age;
                let claim = Claim::InOrder {
                    topic,
                    limit,
                    min_age,
                };
                let batch = self.claim(claim).await?;
                let came = self.relay.sweep(&batch.messages).await;
                match self.progress(came, batch.since)? {
                    BatchOutcome::Some => any = true,
                    BatchOutcome::None => return Ok(Swept::All { any }),
                    BatchOutcome::Outage(outage) => return Ok(outage),
                }
            },
            None => {
                self.look_at_the_clock().await?;
                any |= self.probe().await?;
                match self.drain().await? {
                    Swept::All { any: drained } => Ok(Swept::All { any: any || drained }),
                    outage => Ok(outage),
                }
            }
        }
    }

    /// Tells the outbox what it could not be told before. What is to be given back is due before all that came later,
    /// so nothing is claimed until that is done, or the outbox has taken it back by itself.
    async fn settle(&mut self) -> Result<(), OutboxError> {
        while let Some((unrecorded, since)) = self.unrecorded.pop() {
            let are_claimed = since.elapsed() < self.relay.settings.lease;
            match self.relay.record_again(unrecorded, are_claimed).await {
                Err((unrecorded, error)) if are_claimed => {
                    self.unrecorded.push((unrecorded, since));
                    return Err(error);
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn claim(&self, which: Claim<'_>) -> Result<SweepBatch, OutboxError> {
        // From before the call, so that it seems to end a little too soon.
        let since = Instant::now();
        self.relay.sweep_stats.seen();
        let messages = self.relay.claim(which).await?;
        Ok(SweepBatch { messages, since })
    }

    /// Makes those outstanding whose time has come.
    async fn look_at_the_clock(&mut self) -> Result<(), OutboxError> {
        let now = Instant::now();
        if now < self.clock && !self.schedules_changed() {
            return Ok(());
        }
        // When there are more than are sent at once, the next sweep goes on.
        if !self.relay.make_due().await? {
            // A little less than the interval, which is spread by as much.
            self.clock = now + self.relay.settings.interval.mul_f64(1.0 - 2.0 * JITTER);
        }
        self.fire_schedules(now).await
    }

    /// Fires the schedules that are due, and looks at the clock again when the next one is.
    #[cfg(feature = "schedule")]
    async fn fire_schedules(&mut self, now: Instant) -> Result<(), OutboxError> {
        let Some(scheduler) = &self.relay.scheduler else {
            return Ok(());
        };
        self.due = None;
        let fired = scheduler.fire(&**self.relay.outbox()).await?;
        if fired.any {
            // Topics in order have tasks of their own.
            self.relay.bell.ring(Arrival::Here);
        }
        if let Some(next) = fired.next {
            let due = brighter_core::__private::clock::after(now, next);
            self.clock = self.clock.min(due);
            self.due = Some(due);
        }
        Ok(())
    }

    #[cfg(not(feature = "schedule"))]
    async fn fire_schedules(&mut self, _: Instant) -> Result<(), OutboxError> {
        Ok(())
    }

    /// Whether this process has changed a schedule that may be due now.
    fn schedules_changed(&self) -> bool {
        #[cfg(feature = "schedule")]
        if let Some(scheduler) = &self.relay.scheduler {
            return scheduler.was_changed();
        }
        false
    }

    /// Tries one message of each topic that may be well again, and says whether any was sent.
    async fn probe(&mut self) -> Result<bool, OutboxError> {
        let mut any = false;
        for (topic, state) in self.relay.circuits.paused() {
            if state != CircuitState::HalfOpen || self.relay.in_order().contains(&topic) {
                continue;
            }
            let (limit, min_age) = (1, self.relay.settings.min_age);
            let topic = &topic;
            let claim = Claim::OfTopic {
                topic,
                limit,
                min_age,
            };
            let batch = self.claim(claim).await?;
            let probed = self.relay.sweep(&batch.messages).await;
            any |= !probed.done.is_empty();
            self.progress(probed, batch.since)?;
        }
        Ok(any)
    }

    /// Sends one batch after another until nothing is left that can be sent now. While one is under way the next is
    /// read, so that at most two are in hand.
    async fn drain(&mut self) -> Result<Swept, OutboxError> {
        let mut any = false;
        let mut batch = self.claim_oldest().await?;
        loop {
            let is_full = batch.messages.len() == self.relay.settings.batch;
            let sending = self.relay.sweep(&batch.messages);
            // Its failure waits for its turn: those that are sent are noted first.
            let (came, following) = if is_full && !self.ended.is_cancelled() {
                let (came, following) = join(sending, self.claim_oldest()).await;
                (came, Some(following))
            } else {
                (sending.await, None)
            };
            let progress = self.progress(came, batch.since);
            if let (Some(Ok(unsent)), Err(_) | Ok(BatchOutcome::Outage(_))) = (&following, &progress)
                && let Err((unrecorded, _)) = self.relay.give_back(&unsent.messages).await
            {
                self.unrecorded.push((unrecorded, unsent.since));
            }
            match progress? {
                BatchOutcome::Some => any = true,
                BatchOutcome::None => return Ok(Swept::All { any }),
                BatchOutcome::Outage(outage) => return Ok(outage),
            }
            batch = match following {
                Some(following) => following?,
                None if self.ended.is_cancelled() => return Ok(Swept::All { any }),
                None => self.claim_oldest().await?,
            };
        }
    }

    async fn claim_oldest(&self) -> Result<SweepBatch, OutboxError> {
        let (limit, min_age) = (self.relay.settings.batch, self.relay.settings.min_age);
        let mut except = self
            .relay
            .circuits
            .paused()
            .into_iter()
            .map(|(topic, _)| topic)
            .collect::<Vec<_>>();
        except.extend_from_slice(self.relay.in_order());
        let except = &except;
        self.claim(Claim::Oldest {
            limit,
            min_age,
            except,
        })
        .await
    }

    /// How a batch went that was claimed then.
    fn progress(&mut self, came: Sent, since: Instant) -> Result<BatchOutcome, OutboxError> {
        if let Some((unrecorded, error)) = came.unrecorded {
            self.unrecorded.push((unrecorded, since));
            return Err(error);
        }
        match came.outages.first() {
            // Some were taken, so it is the topic of the others that is in trouble, or the end of the batch met an
            // outage, as the next one will.
            Some((_, error)) if came.done.is_empty() => Ok(BatchOutcome::Outage(Swept::Outage {
                reason: brighter_core::__private::report(error),
            })),
            _ if came.done.is_empty() && came.refused.is_empty() => Ok(BatchOutcome::None),
            _ => Ok(BatchOutcome::Some),
        }
    }
}

/// The outcome of a batch.
enum BatchOutcome {
    /// Some were sent, or at least noted; there may be more.
    Some,
    None,
    Outage(Swept),
}

/// The outcome of a sweep.
enum Swept {
    /// Whether there was anything to send.
    All {
        any: bool,
    },
    Outage {
        reason: String,
    },
}

fn longer(wait: Duration) -> Duration {
    wait.max(Duration::from_millis(100))
        .saturating_mul(2)
        .min(LONGEST_WAIT)
}
