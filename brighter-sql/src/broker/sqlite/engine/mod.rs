//! [`Engine`]: the one task that reads and writes the file. It runs on a thread of its own, so that a handler that
//! blocks its thread neither delays other consumers nor lets the session expire.

mod answering;
mod looking;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::consumers::Consumers;
use super::demand::Demand;
use super::error::{FileFailure, SqliteBrokerError};
use super::options::SqliteBrokerOptions;
use super::request::{Posting, SettleAction, Settled};
use super::row::{self, millis};
use super::schema::schema;
use super::session::EndSession;
use super::settling::SettleOutcome;
use super::state::Times;
use super::topology::FileTopology;
use super::watch::Pace;
use super::write_batch::{WriteBatch, WriteBatchOutput};
use super::write_queue::{QueuedItems, WriteQueue};
use crate::database::backend::Backend;
use crate::database::error::DatabaseError;
use crate::database::sqlite::Database;
use brighter_core::__private::report;
use brighter_core::channel::{PublishError, SettleError};

/// The pause after a failed transaction before it is retried.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The number of channels that are named if the file is full: those with the most messages.
const HOLDERS: usize = 3;

/// The deadline of the engine after it is told to end.
const ENDING: Duration = Duration::from_secs(8);

/// Reads and writes the file.
pub(super) struct Engine {
    queue: Arc<WriteQueue>,
    database: Database,
    lease: i64,
    topology: FileTopology,
    session: Option<i64>,
    alive_until: i64,
    consumers: Consumers,
    /// The temporary channels of this process.
    temporary: HashSet<i64>,
    /// The channels that are known to be full, and were logged.
    full: HashSet<i64>,
    times: Times,
    /// The work that is not written yet.
    postings: Vec<Posting>,
    settled: Vec<Settled>,
    left: Vec<u64>,
    /// The connection that detects changes, and the last version that it saw.
    reader: Option<PoolConnection<Sqlite>>,
    seen: i64,
    pace: Pace,
    pause: Duration,
    retry_at: Option<Instant>,
}

/// Starts an engine, and reports whether it has opened the file.
pub(super) fn start(
    path: PathBuf,
    options: SqliteBrokerOptions,
    queue: Arc<WriteQueue>,
) -> Result<oneshot::Receiver<Result<(), SqliteBrokerError>>, SqliteBrokerError> {
    let (ready, opened) = oneshot::channel();
    let run = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = ready.send(Err(SqliteBrokerError::Thread(error)));
                queue.closed.cancel();
                return;
            }
        };
        runtime.block_on(async {
            match open(&path, &options).await {
                Ok(database) => {
                    // A caller that no longer waits drops its handle, which ends the engine.
                    let _ = ready.send(Ok(()));
                    Engine::new(Arc::clone(&queue), database, &options).run().await;
                }
                Err(error) => {
                    let _ = ready.send(Err(error.into()));
                }
            }
        });
        queue.closed.cancel();
    };
    std::thread::Builder::new()
        .name("brighter-sqlite".into())
        .spawn(run)
        .map_err(SqliteBrokerError::Thread)?;
    Ok(opened)
}

async fn open(path: &Path, options: &SqliteBrokerOptions) -> Result<Database, DatabaseError> {
    let database = Database::open_limited(path, options.size_limit).await?;
    schema().apply(&database).await?;
    Ok(database)
}

impl Engine {
    fn new(queue: Arc<WriteQueue>, database: Database, options: &SqliteBrokerOptions) -> Self {
        Self {
            queue,
            database,
            lease: millis(options.lease),
            topology: FileTopology::default(),
            session: None,
            alive_until: 0,
            consumers: Consumers::default(),
            temporary: HashSet::new(),
            full: HashSet::new(),
            times: Times::default(),
            postings: Vec::new(),
            settled: Vec::new(),
            left: Vec::new(),
            reader: None,
            seen: -1,
            pace: Pace::default(),
            pause: FIRST_PAUSE,
            retry_at: None,
        }
    }

    async fn run(mut self) {
        while !self.queue.closing.is_cancelled() {
            let items = self.queue.take();
            self.accept(items).await;
            if self.has_work() {
                self.write_batch().await;
            } else {
                self.wait().await;
            }
            if self.is_time_to_look() {
                self.look_out().await;
            }
        }
        if timeout(ENDING, self.end()).await.is_err() {
            tracing::warn!("the broker's file could not be written within {ENDING:?} of closing");
        }
        self.consumers.clear();
        // The pool waits for every connection that is in use.
        self.reader = None;
        let _ = timeout(ENDING, self.database.pool().close()).await;
    }

    async fn accept(&mut self, items: QueuedItems) {
        let QueuedItems {
            postings,
            settled,
            requests,
        } = items;
        self.postings.extend(postings);
        self.settled.extend(settled);
        // A request sees all earlier work.
        if !requests.is_empty() && self.has_work() {
            self.write_batch().await;
        }
        for request in requests {
            self.answer(request).await;
        }
    }

    fn has_work(&self) -> bool {
        if !self.postings.is_empty() {
            return true;
        }
        if let Some(retry) = self.retry_at {
            // Retried even if there is nothing to write, so that the status becomes correct.
            return retry <= Instant::now();
        }
        !self.settled.is_empty()
            || !self.left.is_empty()
            || self.next_time().is_some_and(|time| time <= row::now())
            || self
                .consumers
                .demands(&self.topology, &[])
                .iter()
                .any(|demand| demand.may_have)
    }

    /// Returns the time of the next work that is not requested by a caller.
    fn next_time(&self) -> Option<i64> {
        let beat = match self.session {
            // The session is renewed when a third of the lease has passed, so two thirds remain for delays.
            Some(_) => Some(self.alive_until.saturating_sub(self.lease - self.lease / 3)),
            None => (!self.consumers.are_empty()).then_some(0),
        };
        [beat, self.times.next()].into_iter().flatten().min()
    }

    async fn write_batch(&mut self) {
        let mut postings = std::mem::take(&mut self.postings);
        let demands = self.consumers.demands(&self.topology, &self.settled);
        let begun = Instant::now();
        let batch = WriteBatch {
            topology: &mut self.topology,
            session: self.session,
            needs_session: !self.consumers.are_empty(),
            lease: self.lease,
            settled: &self.settled,
            postings: &mut postings,
            demands: &demands,
            left: &self.left,
        };
        match self.database.write(batch).await {
            Ok(done) => self.done(done, postings, &demands),
            Err(error) => {
                let failure = FileFailure::new(error);
                // Looked up once, because an outage may be long and the file large.
                let failure = match self.queue.failure() {
                    Some(known) if known.is_full() => failure.like(&known),
                    _ if failure.is_full() => failure.with_holders(self.holders().await),
                    _ => failure,
                };
                self.failed(failure, postings, begun);
            }
        }
    }

    /// Returns the channels that hold the most messages of a full file.
    async fn holders(&mut self) -> Option<String> {
        // If the channels cannot be read, only the full file is reported.
        let usages = self.usages().await.ok()?;
        let mut usages: Vec<_> = usages.into_iter().filter(|usage| usage.waiting > 0).collect();
        usages.sort_by_key(|usage| std::cmp::Reverse(usage.waiting));
        let most: Vec<_> = usages
            .iter()
            .take(HOLDERS)
            .map(|usage| format!("{} in `{}`", usage.waiting, usage.name))
            .collect();
        (!most.is_empty()).then(|| most.join(", "))
    }

    fn done(&mut self, done: WriteBatchOutput, postings: Vec<Posting>, demands: &[Demand]) {
        if self.retry_at.take().is_some() {
            self.pause = FIRST_PAUSE;
            tracing::info!("the broker's file is writable again");
            self.queue.note(None);
        }
        self.pace.quicken();
        self.times = done.times;
        self.tell_full(&done.asked);
        self.left.clear();
        self.end_orphans();
        if done.session_was_lost {
            tracing::warn!(
                "session expired: this process could not write the broker's file in time; its unsettled messages are \
                 delivered again"
            );
            self.consumers.recall();
        }
        (self.session, self.alive_until) = (done.session, done.alive_until);
        for (settled, outcome) in self.settled.drain(..).zip(done.outcomes) {
            self.consumers.settled(settled.consumer);
            tell(settled, outcome);
        }
        for (posting, results) in postings.into_iter().zip(done.posted) {
            // A caller that has given up gets no result, and publishes again.
            let _ = posting.reply.send(results);
        }
        let mut claimed = done.claimed;
        for demand in demands {
            let (Some(rows), Some(session)) = (claimed.remove(&demand.channel), self.session) else {
                continue;
            };
            let limits = self.topology.limits(demand.channel);
            let single = limits.is_some_and(|limits| limits.single_active_consumer);
            let back = self.consumers.serve(*demand, session, single, rows);
            self.settled.extend(back);
        }
    }

    /// Logs once for each channel that it is full.
    fn tell_full(&mut self, asked: &[(i64, bool)]) {
        for (channel, is_full) in asked {
            if !is_full {
                self.full.remove(channel);
                continue;
            }
            let Some(known) = self.topology.channel(*channel) else {
                continue;
            };
            if self.full.insert(*channel) {
                tracing::warn!(
                    channel = %known.name, waiting = known.limits.length,
                    "a channel is full and refuses what is published; consume it, or remove it by `Broker::remove` if \
                     it is not needed"
                );
            }
        }
        let topology = &self.topology;
        self.full.retain(|channel| topology.channel(*channel).is_some());
    }

    /// Ends the consumers of removed channels: temporary ones whose session has expired, and any others.
    fn end_orphans(&mut self) {
        let topology = &self.topology;
        let channels = self.temporary.iter().copied().chain(self.consumers.channels());
        let gone = channels.filter(|channel| topology.channel(*channel).is_none());
        for channel in gone.collect::<Vec<_>>() {
            self.temporary.remove(&channel);
            self.consumers.end(channel);
        }
    }

    fn failed(&mut self, failure: FileFailure, postings: Vec<Posting>, begun: Instant) {
        if self.retry_at.is_none() {
            tracing::error!(
                error = report(&failure),
                "cannot write the broker's file; no message is lost, and the write is retried"
            );
        }
        self.queue.note(Some(failure.clone()));
        self.retry_at = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        for posting in postings {
            let refused = || Err(failure.of_publish(begun.elapsed()));
            // The transaction has consumed the messages, so their number was stored before.
            let results = (0..posting.count).map(|_| refused()).collect();
            let _ = posting.reply.send(results);
        }
        for settled in &mut self.settled {
            if let Some(reply) = settled.reply.take() {
                let _ = reply.send(Err(failure.of_settle()));
                settled.action = SettleAction::Release { counted: true };
            }
        }
    }

    /// Writes the remaining work, and returns unsettled messages.
    async fn end(&mut self) {
        let items = self.queue.shut();
        self.accept(items).await;
        let unseen = self.consumers.clear();
        self.settled.extend(unseen);
        while self.retry_at.is_some() || !self.settled.is_empty() || !self.postings.is_empty() {
            self.write_batch().await;
            if let Some(retry) = self.retry_at {
                sleep_until(retry).await;
            }
        }
        let Some(session) = self.session.take() else {
            return;
        };
        let topology = &mut self.topology;
        if let Err(error) = self.database.write(EndSession { topology, session }).await {
            tracing::warn!(
                error = report(&FileFailure::new(error)),
                "cannot end the session; unsettled messages are delivered to other processes after the lease"
            );
        }
    }
}

/// Runs also after a panic: callers must not wait forever, or get a success.
impl Drop for Engine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.queue.note(Some(FileFailure::panicked()));
        }
        // This drops the replies of waiting callers.
        drop(self.queue.shut());
        self.consumers.clear();
        self.queue.closed.cancel();
    }
}

/// Reports the outcome of a delivery to its caller. No caller waits for an ack, so a late ack is logged.
fn tell(settled: Settled, outcome: SettleOutcome) {
    let result = match outcome {
        SettleOutcome::Done => Ok(()),
        SettleOutcome::Stale => Err(SettleError::Stale),
        SettleOutcome::NotMoved(topic) => Err(SettleError::NotMoved(PublishError::Unroutable { topic })),
    };
    match (settled.reply, result) {
        (Some(reply), result) => {
            let _ = reply.send(result);
        }
        (None, Err(error)) => {
            tracing::warn!(
                error = report(&error),
                "a message was settled after its session had expired, and is delivered again"
            );
        }
        (None, Ok(())) => {}
    }
}
