//! Continues operations.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::pace::SendingPace;
use super::sending::send;
use super::{
    BulkClaim, BulkOperation, BulkState, Desk, DeskError, DeskMessage, ItemState, OperateError, OperationId,
};
use brighter_core::channel::Channel;
use brighter_core::message::ChannelName;

/// How often the store is asked for operations.
const POLL: Duration = Duration::from_secs(1);
/// How often an operation that waits for evidence looks for it.
const LOOK: Duration = Duration::from_millis(200);
/// The pauses after a failure: the first, which doubles, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How many messages are changed at the desk, or taken as handled, in one transaction.
const CHANGES: usize = 500;

/// The next step of an operation.
enum BulkStep {
    /// The operation has ended, was stopped, or another process has it.
    Ended,
    /// The operation goes on at once, or after a while.
    After(Duration),
}

/// One operation in this process.
struct Operating<'a> {
    desk: &'a Desk,
    claim: BulkClaim,
    pace: Option<SendingPace>,
    /// The channels whose depth tells whether messages are still on their way.
    watched: BTreeSet<ChannelName>,
    pause: Duration,
}

impl Desk {
    /// Continues operations until the desk ends.
    pub(super) async fn keep_operating(&self, ending: CancellationToken) {
        while !ending.is_cancelled() {
            let wait = match self.store.claim(None, self.lease).await {
                Ok(Some(claim)) => {
                    self.operate(claim, &ending).await;
                    Duration::ZERO
                }
                Ok(None) => POLL,
                Err(error) => {
                    let error = brighter_core::__private::report(&error);
                    tracing::warn!(error, "cannot look for operations of the desk");
                    LONGEST_PAUSE
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = ending.cancelled() => return,
            }
        }
    }

    pub(super) async fn work_until_ended(&self, id: OperationId) -> Result<BulkOperation, OperateError> {
        let never = CancellationToken::new();
        loop {
            let operation = self.store.operation(id).await?;
            let operation = operation.ok_or(OperateError::NoOperation(id))?;
            if operation.state != BulkState::Running {
                return Ok(operation);
            }
            match self.store.claim(Some(id), self.lease).await? {
                Some(claim) => self.operate(claim, &never).await,
                None => sleep(LOOK).await,
            }
        }
    }

    /// Continues one operation until it has ended, another process has it, or the desk ends.
    async fn operate(&self, claim: BulkClaim, ending: &CancellationToken) {
        let mut operating = Operating {
            desk: self,
            claim,
            pace: None,
            watched: BTreeSet::new(),
            pause: FIRST_PAUSE,
        };
        loop {
            let wait = match operating.step().await {
                Ok(BulkStep::Ended) => return,
                Ok(BulkStep::After(wait)) => wait,
                Err(DeskError::LeaseLost { operation }) => {
                    tracing::info!(%operation, "operation was taken over by another process");
                    return;
                }
                Err(error) => {
                    let error = brighter_core::__private::report(&error);
                    let operation = claim.operation;
                    tracing::warn!(error, %operation, "operation of the desk was interrupted; it is retried");
                    operating.next_pause()
                }
            };
            // The lease must not end meanwhile.
            let wait = wait.min((self.lease / 3).max(LOOK));
            tokio::select! {
                () = sleep(wait) => {}
                () = ending.cancelled() => {}
            }
            if ending.is_cancelled() {
                // Otherwise the lease ends by itself.
                if let Err(error) = self.store.release(claim).await {
                    let error = brighter_core::__private::report(&error);
                    tracing::debug!(error, "operation of the desk was not given up");
                }
                return;
            }
        }
    }
}

impl Operating<'_> {
    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }

    async fn step(&mut self) -> Result<BulkStep, DeskError> {
        let (store, lease) = (&self.desk.store, self.desk.lease);
        let operation = store.renew(self.claim, lease).await?;
        match operation.state {
            BulkState::Running if !operation.plan.verb.sends() => self.apply(&operation).await,
            BulkState::Running => self.send_next(operation).await,
            // What was sent is still watched, and what is being sent is sent.
            BulkState::Stopped if operation.counts.sending > 0 => self.send_some(&operation, 0).await,
            BulkState::Stopped if operation.counts.sent > 0 => self.look(&operation).await,
            _ => {
                store.release(self.claim).await?;
                Ok(BulkStep::Ended)
            }
        }
    }

    /// Archives or deletes messages.
    async fn apply(&mut self, operation: &BulkOperation) -> Result<BulkStep, DeskError> {
        let pace = self
            .pace
            .get_or_insert_with(|| SendingPace::new(operation.plan.rate));
        let wait = pace.wait();
        if !wait.is_zero() {
            return Ok(BulkStep::After(wait));
        }
        let some = match operation.plan.rate {
            None => CHANGES,
            Some(_) => usize::try_from(pace.batch()).unwrap_or(CHANGES),
        };
        let lease = self.desk.lease;
        let done = self.desk.store.apply(self.claim, some, lease).await?;
        brighter_core::__private::fault_point!("desk.applied");
        pace.sent(done);
        if done > 0 {
            return Ok(BulkStep::After(Duration::ZERO));
        }
        self.end(operation).await
    }

    async fn send_next(&mut self, operation: BulkOperation) -> Result<BulkStep, DeskError> {
        let counts = operation.counts;
        let canary = operation.canary_to_pass();
        let tried = counts.total() - counts.pending - counts.skipped;
        let may = canary.map_or(counts.pending, |canary| canary.first.saturating_sub(tried));
        if counts.sending > 0 || (counts.pending > 0 && may > 0) {
            return self.send_some(&operation, may).await;
        }
        if canary.is_some() {
            let bad = counts.came_back + counts.failed;
            // The outcome of each is awaited, so that none of a stopped operation is left without one.
            if bad > 0 && counts.sent == 0 {
                let outcome = format!(
                    "canary failed: {bad} of {tried} were not handled; {} messages are untouched",
                    counts.pending
                );
                self.desk
                    .store
                    .finish(self.claim, BulkState::Stopped, &outcome)
                    .await?;
                return Ok(BulkStep::Ended);
            }
            if counts.sent == 0 {
                let lease = self.desk.lease;
                self.desk.store.pass_canary(self.claim, lease).await?;
                return Ok(BulkStep::After(Duration::ZERO));
            }
        }
        if counts.open() == 0 {
            return self.end(&operation).await;
        }
        self.look(&operation).await
    }

    /// Sends messages that a process has left as being sent, and up to `more` others.
    async fn send_some(&mut self, operation: &BulkOperation, more: u64) -> Result<BulkStep, DeskError> {
        let pace = self
            .pace
            .get_or_insert_with(|| SendingPace::new(operation.plan.rate));
        let wait = pace.wait();
        if !wait.is_zero() {
            return Ok(BulkStep::After(wait));
        }
        let most = operation.counts.sending.saturating_add(more).min(pace.batch());
        let (store, lease) = (&self.desk.store, self.desk.lease);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let messages = store.next(self.claim, most, lease).await?;
        brighter_core::__private::fault_point!("desk.next");
        self.watched.extend(messages.iter().flat_map(channels));
        let sent = send(&*self.desk.broker, operation, &messages).await;
        brighter_core::__private::fault_point!("desk.sent");
        pace.sent(sent.results.len() as u64);
        store.record(self.claim, &sent.results, lease).await?;
        brighter_core::__private::fault_point!("desk.recorded");
        let Some(error) = sent.outage else {
            self.pause = FIRST_PAUSE;
            return Ok(BulkStep::After(Duration::ZERO));
        };
        let error = brighter_core::__private::report(&error);
        let operation = operation.id;
        let wait = self.next_pause();
        tracing::warn!(error, %operation, retry_in = ?wait, "broker does not take the messages of an operation");
        Ok(BulkStep::After(wait))
    }

    /// Takes those messages as handled that have not come back within their time.
    async fn look(&mut self, operation: &BulkOperation) -> Result<BulkStep, DeskError> {
        let (store, lease) = (&self.desk.store, self.desk.lease);
        if self.watched.is_empty() {
            self.watched = self.sent_channels(operation).await?;
        }
        // A message that still waits in its channel was not handled, and one among the dead letters did not pass.
        if !self.is_quiet().await {
            return Ok(BulkStep::After(LOOK));
        }
        let settled = store
            .settle(self.claim, operation.plan.evidence, CHANGES, lease)
            .await?;
        brighter_core::__private::fault_point!("desk.settled");
        Ok(BulkStep::After(if settled > 0 { Duration::ZERO } else { LOOK }))
    }

    /// Returns the channels of the messages that another process has sent.
    async fn sent_channels(&self, operation: &BulkOperation) -> Result<BTreeSet<ChannelName>, DeskError> {
        let (mut names, mut after) = (BTreeSet::new(), None);
        loop {
            let items = self.desk.store.items(operation.id, after, CHANGES).await?;
            let Some(last) = items.last() else {
                return Ok(names);
            };
            after = Some(last.row);
            for item in items.iter().filter(|item| item.state == ItemState::Sent) {
                let message = self.desk.store.read(item.row).await?;
                names.extend(message.iter().flat_map(channels));
            }
        }
    }

    /// Returns whether nothing waits in the channels, as far as the broker knows.
    async fn is_quiet(&self) -> bool {
        for name in &self.watched {
            match self.desk.broker.depth(&Channel::existing(name.clone())).await {
                Ok(None | Some(0)) => {}
                Ok(Some(_)) => return false,
                Err(error) => {
                    let (error, channel) = (brighter_core::__private::report(&error), name.as_str());
                    tracing::debug!(error, channel, "depth of a channel is unknown");
                    return false;
                }
            }
        }
        true
    }

    async fn end(&mut self, operation: &BulkOperation) -> Result<BulkStep, DeskError> {
        let counts = operation.counts;
        let outcome = match counts.bad() {
            0 => format!("{} messages done", counts.done),
            _ => format!(
                "{} messages done, {} came back, {} failed, {} skipped",
                counts.done, counts.came_back, counts.failed, counts.skipped
            ),
        };
        self.desk
            .store
            .finish(self.claim, BulkState::Done, &outcome)
            .await?;
        Ok(BulkStep::Ended)
    }
}

/// Returns the channel to which a message is sent back, and the one in which it would appear as dead.
fn channels(message: &DeskMessage) -> impl Iterator<Item = ChannelName> {
    let source = Some(message.row.source.clone());
    [message.row.channel.clone(), source].into_iter().flatten()
}
