//! The [`Engine`]: the one task that reads and writes the file, on a thread of its own, so that a handler that blocks
//! its thread neither holds up others nor is taken for dead.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Row as _, Sqlite};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::change::depth;
use super::cycle::{Cycle, Done, EndSession, Want};
use super::declare::Declare;
use super::desk::{Batch, Desk, How, Posting, Request, Settled};
use super::error::{Failure, SqliteBrokerError};
use super::options::SqliteBrokerOptions;
use super::row::{self, millis};
use super::schema::schema;
use super::seat::Opened;
use super::seats::Seats;
use super::settling::Fate;
use super::state::{State, Times};
use super::temporary::{Leave, TakeOut};
use super::topology::Topology;
use super::watch::Pace;
use crate::database::backend::Backend;
use crate::database::error::DatabaseError;
use crate::database::sqlite::Database;
use crate::database::value::Sql;
use brighter_core::channel::{Channel, ChannelError, PublishError, SettleError};
use brighter_core::message::{ChannelName, Message};

/// How long to wait after a transaction that failed before the next is tried without being asked for.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long the engine goes on when it is told to end.
const ENDING: Duration = Duration::from_secs(8);

/// Reads and writes the file.
pub(super) struct Engine {
    desk: Arc<Desk>,
    database: Database,
    lease: i64,
    topology: Topology,
    session: Option<i64>,
    alive_until: i64,
    seats: Seats,
    /// The temporary channels of this process.
    temporary: HashSet<i64>,
    times: Times,
    /// What is still to be written.
    postings: Vec<Posting>,
    settled: Vec<Settled>,
    left: Vec<u64>,
    /// Which connection looks whether others have written, and what it saw last.
    reader: Option<PoolConnection<Sqlite>>,
    seen: i64,
    pace: Pace,
    pause: Duration,
    retry_at: Option<Instant>,
}

/// Starts an engine, and says whether it has the file.
pub(super) fn start(
    path: PathBuf,
    options: SqliteBrokerOptions,
    desk: Arc<Desk>,
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
                desk.closed.cancel();
                return;
            }
        };
        runtime.block_on(async {
            match open(&path, &options).await {
                Ok(database) => {
                    // Whoever does not wait for it any more drops the desk, which ends the engine.
                    let _ = ready.send(Ok(()));
                    Engine::new(Arc::clone(&desk), database, &options).run().await;
                }
                Err(error) => {
                    let _ = ready.send(Err(error.into()));
                }
            }
        });
        desk.closed.cancel();
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
    fn new(desk: Arc<Desk>, database: Database, options: &SqliteBrokerOptions) -> Self {
        Self {
            desk,
            database,
            lease: millis(options.lease),
            topology: Topology::default(),
            session: None,
            alive_until: 0,
            seats: Seats::default(),
            temporary: HashSet::new(),
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
        while !self.desk.closing.is_cancelled() {
            let batch = self.desk.take();
            self.accept(batch).await;
            if self.has_work() {
                self.cycle().await;
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
        self.seats.clear();
        // The pool waits for every connection that it has given out.
        self.reader = None;
        let _ = timeout(ENDING, self.database.pool().close()).await;
    }

    async fn accept(&mut self, batch: Batch) {
        let Batch {
            postings,
            settled,
            requests,
        } = batch;
        self.postings.extend(postings);
        self.settled.extend(settled);
        // Who asks sees what was done before.
        if !requests.is_empty() && self.has_work() {
            self.cycle().await;
        }
        for request in requests {
            self.answer(request).await;
        }
    }

    /// Whether others have written is looked at only for consumers, which may have nothing.
    fn is_time_to_look(&self) -> bool {
        !self.seats.are_empty() && self.retry_at.is_none() && self.pace.is_due()
    }

    fn has_work(&self) -> bool {
        if !self.postings.is_empty() {
            return true;
        }
        if let Some(retry) = self.retry_at {
            // Even if there is nothing to write, so that the status tells the truth.
            return retry <= Instant::now();
        }
        !self.settled.is_empty()
            || !self.left.is_empty()
            || self.next_time().is_some_and(|time| time <= row::now())
            || self
                .seats
                .wants(&self.topology, &[])
                .iter()
                .any(|want| want.may_have)
    }

    /// When there is something to do although nobody asks.
    fn next_time(&self) -> Option<i64> {
        let beat = match self.session {
            // A third of the lease is left to be late in, twice.
            Some(_) => Some(self.alive_until.saturating_sub(self.lease - self.lease / 3)),
            None => (!self.seats.are_empty()).then_some(0),
        };
        [beat, self.times.next()].into_iter().flatten().min()
    }

    async fn cycle(&mut self) {
        let mut postings = std::mem::take(&mut self.postings);
        let wants = self.seats.wants(&self.topology, &self.settled);
        let begun = Instant::now();
        let cycle = Cycle {
            topology: &mut self.topology,
            session: self.session,
            needs_session: !self.seats.are_empty(),
            lease: self.lease,
            settled: &self.settled,
            postings: &mut postings,
            wants: &wants,
            left: &self.left,
        };
        match self.database.write(cycle).await {
            Ok(done) => self.done(done, postings, &wants),
            Err(error) => self.failed(error, postings, begun),
        }
    }

    fn done(&mut self, done: Done, postings: Vec<Posting>, wants: &[Want]) {
        if self.retry_at.take().is_some() {
            self.pause = FIRST_PAUSE;
            tracing::info!("the broker's file is written again");
            self.desk.note(None);
        }
        self.pace.quicken();
        self.times = done.times;
        self.left.clear();
        self.end_orphans();
        if done.session_was_lost {
            tracing::warn!(
                "this process was taken for dead, for it could not write the broker's file in time; what it had in \
                 hand is delivered again"
            );
            self.seats.recall();
        }
        (self.session, self.alive_until) = (done.session, done.alive_until);
        for (settled, fate) in self.settled.drain(..).zip(done.fates) {
            self.seats.settled(settled.seat);
            tell(settled, fate);
        }
        for (posting, results) in postings.into_iter().zip(done.posted) {
            // Who has given up waiting learns nothing, and posts again.
            let _ = posting.reply.send(results);
        }
        let mut claimed = done.claimed;
        for want in wants {
            let (Some(rows), Some(session)) = (claimed.remove(&want.channel), self.session) else {
                continue;
            };
            let limits = self.topology.limits(want.channel);
            let single = limits.is_some_and(|limits| limits.single_active_consumer);
            let back = self.seats.serve(*want, session, single, rows);
            self.settled.extend(back);
        }
    }

    /// Ends the consumers of channels that somebody has removed: temporary ones, because their process was taken for
    /// dead, and any other.
    fn end_orphans(&mut self) {
        let topology = &self.topology;
        let channels = self.temporary.iter().copied().chain(self.seats.channels());
        let gone = channels.filter(|channel| topology.channel(*channel).is_none());
        for channel in gone.collect::<Vec<_>>() {
            self.temporary.remove(&channel);
            self.seats.end(channel);
        }
    }

    fn failed(&mut self, error: DatabaseError, postings: Vec<Posting>, begun: Instant) {
        let failure = Failure::new(error);
        if self.retry_at.is_none() {
            tracing::error!(
                error = brighter_core::__private::report(&failure),
                "the broker's file cannot be written; nothing is lost, and it is tried again"
            );
        }
        self.desk.note(Some(failure.clone()));
        self.retry_at = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        for posting in postings {
            let refused = || Err(failure.of_publish(begun.elapsed()));
            // The messages are gone into the transaction, so their number was noted before.
            let results = (0..posting.count).map(|_| refused()).collect();
            let _ = posting.reply.send(results);
        }
        for settled in &mut self.settled {
            if let Some(reply) = settled.reply.take() {
                let _ = reply.send(Err(failure.of_settle()));
                settled.how = How::Release { counted: true };
            }
        }
    }

    async fn answer(&mut self, request: Request) {
        match request {
            Request::Declare(channel, reply) => {
                let _ = reply.send(self.declare(&channel).await.map(drop));
            }
            Request::Consume(channel, reply) => {
                let opened = match self.declare(&channel).await {
                    Ok(id) => {
                        let (seat, lap) = self.seats.add(id, u32::from(channel.buffer.get()));
                        Ok(Opened {
                            seat,
                            channel: id,
                            lap,
                        })
                    }
                    Err(error) => Err(error),
                };
                if let Err(Ok(opened)) = reply.send(opened) {
                    self.seats.remove(opened.seat);
                }
            }
            Request::Leave(seat, gone) => {
                let channel = self.seats.remove(seat);
                if let Some(channel) = channel {
                    self.leave(channel).await;
                }
                let limits = channel.and_then(|channel| self.topology.limits(channel));
                if limits.is_some_and(|limits| limits.single_active_consumer) {
                    self.left.push(seat);
                }
                // Who has dropped the consumer does not wait.
                let _ = gone.send(());
            }
            Request::Remove(name, reply) => {
                let removed = self.remove(&name).await;
                let _ = reply.send(removed.map_err(|error| Failure::new(error).of_channel()));
            }
            Request::Flush(reply) => {
                // What could be written was written before this was looked at.
                let failure = self.desk.failure().filter(|_| !self.settled.is_empty());
                let _ = reply.send(failure.map_or(Ok(()), |failure| Err(failure.of_channel())));
            }
            Request::Depth(name, reply) => {
                let _ = reply.send(self.depth(&name).await);
            }
            Request::Waiting(name, most, reply) => {
                let _ = reply.send(self.waiting(&name, most).await);
            }
        }
    }

    /// Takes a channel out with all that is in it, and ends its consumers, as other processes do when they look.
    async fn remove(&mut self, name: &ChannelName) -> Result<(), DatabaseError> {
        self.look().await?;
        if let Some(channel) = self.topology.find(name) {
            self.database.write(TakeOut(channel)).await?;
            self.look().await?;
        }
        Ok(())
    }

    /// Takes a temporary channel out that nobody consumes any more. If that fails it goes with the session.
    async fn leave(&mut self, channel: i64) {
        if self.temporary.remove(&channel)
            && !self.seats.consume(channel)
            && let Err(error) = self.database.write(Leave(channel)).await
        {
            tracing::debug!(
                error = brighter_core::__private::report(&Failure::new(error)),
                "a temporary channel is left for later"
            );
        }
    }

    async fn declare(&mut self, channel: &Channel) -> Result<i64, ChannelError> {
        let mut session = self.session.map(|session| (session, self.alive_until));
        let declare = Declare {
            channel,
            topology: &mut self.topology,
            session: &mut session,
            lease: self.lease,
        };
        let id = match self.database.write(declare).await {
            Ok(declared) => declared?,
            Err(error) => return Err(Failure::new(error).of_channel()),
        };
        if let Some((session, alive_until)) = session {
            if self.session.is_some_and(|before| before != session) {
                self.seats.recall();
            }
            (self.session, self.alive_until) = (Some(session), alive_until);
        }
        if channel.stays_unused.is_some() {
            self.temporary.insert(id);
        }
        // The limits of the channel are asked for before the first cycle.
        if let Err(error) = self.look().await {
            return Err(Failure::new(error).of_channel());
        }
        Ok(id)
    }

    async fn depth(&mut self, name: &ChannelName) -> Result<Option<u64>, ChannelError> {
        let read = async {
            self.look().await?;
            let Some(channel) = self.topology.find(name) else {
                return Ok(None);
            };
            let reader = self.reader().await?;
            let depth = depth(reader, channel).await.map_err(Sqlite::sort)?;
            Ok(Some(depth.max(0).unsigned_abs()))
        };
        read.await
            .map_err(|error: DatabaseError| Failure::new(error).of_channel())
    }

    async fn waiting(&mut self, name: &ChannelName, most: u32) -> Result<Vec<Message>, ChannelError> {
        let read = async {
            self.look().await?;
            let Some(channel) = self.topology.find(name) else {
                return Ok(Vec::new());
            };
            let reader = self.reader().await?;
            let rows = sqlx::query(
                "SELECT m.header, m.body FROM brighter_broker_messages m WHERE m.channel = ?1 \
                 AND NOT EXISTS (SELECT 1 FROM brighter_broker_held h WHERE h.seq = m.seq) ORDER BY m.seq LIMIT ?2",
            )
            .bind(channel)
            .bind(most)
            .fetch_all(&mut **reader)
            .await
            .map_err(Sqlite::sort)?;
            let read = |row| row::message(row, 0).unwrap_or_else(|_| row::salvaged(row, 0, name.as_str()));
            Ok(rows.iter().map(read).collect())
        };
        read.await
            .map_err(|error: DatabaseError| Failure::new(error).of_channel())
    }

    async fn reader(&mut self) -> Result<&mut PoolConnection<Sqlite>, DatabaseError> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => {
                self.seen = -1;
                self.database.pool().acquire().await.map_err(Sqlite::sort)?
            }
        };
        Ok(self.reader.insert(reader))
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self) {
        let in_time = self.next_time().map(|time| {
            let millis = time.saturating_sub(row::now()).max(0).unsigned_abs();
            Instant::now() + Duration::from_millis(millis)
        });
        let look = (!self.seats.are_empty()).then(|| self.pace.next());
        let next = self.retry_at.or([in_time, look].into_iter().flatten().min());
        let sleep = async {
            match next {
                Some(next) => sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        let desk = Arc::clone(&self.desk);
        let is_time = tokio::select! {
            () = desk.wake.notified() => false,
            () = desk.closing.cancelled() => false,
            () = sleep => true,
        };
        // What was to be done by now another process may have done.
        if is_time && in_time.is_some_and(|time| time <= Instant::now()) {
            self.look_out().await;
        }
    }

    async fn look_out(&mut self) {
        if let Err(error) = self.look().await {
            self.reader = None;
            self.failed(error, Vec::new(), Instant::now());
        }
    }

    /// Looks whether others have written, and what.
    async fn look(&mut self) -> Result<(), DatabaseError> {
        let (seen, session) = (self.seen, self.session);
        let reader = self.reader().await?;
        let version: i64 = sqlx::query("PRAGMA data_version")
            .fetch_one(&mut **reader)
            .await
            .and_then(|row| row.try_get(0))
            .map_err(Sqlite::sort)?;
        if version == seen {
            self.pace.slacken();
            return Ok(());
        }
        let state = State::read(reader, session).await.map_err(Sqlite::sort)?;
        if state.topology != self.topology.version {
            let reader = self.reader().await?;
            self.topology = Topology::load(state.topology, reader)
                .await
                .map_err(Sqlite::sort)?;
            self.end_orphans();
        }
        self.times = state.times;
        for channel in self.seats.hungry() {
            let reader = self.reader().await?;
            let found = sqlx::query(
                "SELECT 1 FROM brighter_broker_channels c WHERE c.id = ?1 \
                 AND (c.single_active = 0 OR c.active_session IS NULL OR c.active_session = ?2) \
                 AND EXISTS (SELECT 1 FROM brighter_broker_messages m WHERE m.channel = c.id \
                 AND NOT EXISTS (SELECT 1 FROM brighter_broker_held h WHERE h.seq = m.seq))",
            )
            .bind(channel)
            .bind(session)
            .fetch_optional(&mut **reader)
            .await
            .map_err(Sqlite::sort)?;
            if found.is_some() {
                self.seats.may_have(channel);
            }
        }
        // Only now: after an error it is looked at again.
        self.seen = version;
        self.pace.found();
        Ok(())
    }

    /// Writes what is left, and gives back what is in hand.
    async fn end(&mut self) {
        let batch = self.desk.shut();
        self.accept(batch).await;
        let unseen = self.seats.clear();
        self.settled.extend(unseen);
        while self.retry_at.is_some() || !self.settled.is_empty() || !self.postings.is_empty() {
            self.cycle().await;
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
                error = brighter_core::__private::report(&Failure::new(error)),
                "what this process has in hand is delivered to others only when its lease ends"
            );
        }
    }
}

/// Says what became of a delivery to who waits for it; an ack that came too late is told in the log, for nobody does.
fn tell(settled: Settled, fate: Fate) {
    let result = match fate {
        Fate::Done => Ok(()),
        Fate::Stale => Err(SettleError::Stale),
        Fate::NotMoved(topic) => Err(SettleError::NotMoved(PublishError::Unroutable { topic })),
    };
    match (settled.reply, result) {
        (Some(reply), result) => {
            let _ = reply.send(result);
        }
        (None, Err(error)) => {
            tracing::warn!(
                error = brighter_core::__private::report(&error),
                "a message was settled too late, and is delivered again"
            );
        }
        (None, Ok(())) => {}
    }
}
