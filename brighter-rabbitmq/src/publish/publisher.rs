//! Publishing, as callers see it: each message is confirmed, refused or given back, for itself and in time.
//!
//! The broker tells that a message made it close the channel, and not which. So those that were on the channel
//! are sent again, each alone: the culprit is found, and the others are not blamed. They may arrive twice. So may those
//! that are sent again because a connection was given up on which nothing was confirmed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::oneshot::error::TryRecvError;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::fast_path::FastPath;
use super::publish_queue::PublishQueue;
use super::publish_task::PublishTask;
use super::request::{ConfirmResult, Outgoing, PublishRequest};
use crate::connection::{ConnectionHandle, IoThread};
use crate::settings::RabbitMqSettings;
use brighter_core::channel::PublishError;
use brighter_core::message::Message;

/// Whether a message goes alone, try by try. One that did is tried again only where its connection went, and with the
/// channel of another.
const TRIES: [bool; 3] = [false, true, true];

/// Publishes messages, confirmed. Ends, once it is dropped or told to close, when all are.
pub(crate) struct Publisher {
    queue: Arc<PublishQueue<PublishRequest, FastPath>>,
    connection: Arc<ConnectionHandle>,
    /// A channel of its own is wanted for what is published from now on.
    renewal: Arc<AtomicBool>,
    done: CancellationToken,
    deadline: Duration,
}

impl Publisher {
    pub(crate) fn start(
        connection: Arc<ConnectionHandle>,
        settings: Arc<RabbitMqSettings>,
        io: &IoThread,
        close: CancellationToken,
    ) -> Self {
        let queue = Arc::new(PublishQueue::new());
        let done = CancellationToken::new();
        let deadline = settings.confirm_timeout;
        let task = PublishTask::new(Arc::clone(&queue), Arc::clone(&connection), settings);
        let renewal = task.renewal();
        let finished = done.clone().drop_guard();
        io.spawn(async move {
            task.run(close).await;
            drop(finished);
        });
        Self {
            queue,
            connection,
            renewal,
            done,
            deadline,
        }
    }

    /// Publishes by a new channel from now on, as a queue may have been declared anew: see [`RouteChanges`].
    ///
    /// [`RouteChanges`]: super::route_changes::RouteChanges
    pub(crate) fn renew_channel(&self) {
        self.renewal.store(true, Ordering::Release);
        self.queue.with_fast_path(|fast_path, _| {
            if let Some(fast_path) = fast_path {
                fast_path.shut();
            }
        });
    }

    /// Publishes the message that is made, and returns once the broker has confirmed. It is made again if it
    /// must be sent again.
    pub(crate) async fn publish(
        &self,
        make: impl Fn() -> Result<Outgoing, PublishError> + Send,
    ) -> Result<(), PublishError> {
        let deadline = Instant::now() + self.deadline;
        let mut tries = TRIES.into_iter();
        let mut next = tries.next();
        while let Some(isolated) = next {
            let (request, result) = PublishRequest::new(make()?, isolated);
            // Held until the end: a caller that gives up leaves the queue.
            let ticket = match self.connection.blocked() {
                None => self.queue.pass(request, FastPath::pass),
                Some(_) => self.queue.enter([request]),
            };
            let Some(mut ticket) = ticket else {
                return Err(PublishError::Closed);
            };
            match timeout_at(deadline, result).await {
                Ok(Ok(result)) => {
                    // Until the deadline it is sent as often as a connection is given up under it.
                    if result.is_suspect() {
                        next = tries.next();
                    }
                    if let Some(outcome) = result.outcome(&make) {
                        return outcome;
                    }
                }
                Ok(Err(_)) => return Err(PublishError::Closed),
                Err(_) => return Err(self.too_late(ticket.give_up() > 0)),
            }
        }
        Err(unknown())
    }

    /// Publishes all messages that are made, in their order and at once, and tells what became of each.
    pub(crate) async fn publish_all<'a>(
        &self,
        messages: &[&'a Message],
        make: impl Fn(&'a Message) -> Result<Outgoing, PublishError> + Send + Sync,
    ) -> Vec<Result<(), PublishError>> {
        let deadline = Instant::now() + self.deadline;
        let mut outcomes: Vec<_> = messages.iter().map(|_| Err(unknown())).collect();
        let mut open: Vec<usize> = (0..messages.len()).collect();
        let mut tries = TRIES.into_iter();
        let mut next = tries.next();
        while let Some(isolated) = next {
            let mut made = Vec::with_capacity(open.len());
            open.retain(|&n| match make(messages[n]) {
                Ok(message) => {
                    made.push(message);
                    true
                }
                Err(error) => {
                    outcomes[n] = Err(error);
                    false
                }
            });
            if open.is_empty() {
                break;
            }
            let results = self.send(made, isolated, deadline).await;
            if results.iter().any(ConfirmResult::is_suspect) {
                next = tries.next();
            }
            let mut results = results.into_iter();
            open.retain(|&n| {
                let result = results.next();
                match result.and_then(|result| result.outcome(|| make(messages[n]))) {
                    Some(outcome) => {
                        outcomes[n] = outcome;
                        false
                    }
                    None => true,
                }
            });
        }
        outcomes
    }

    /// One verdict for each message.
    async fn send(&self, messages: Vec<Outgoing>, isolated: bool, deadline: Instant) -> Vec<ConfirmResult> {
        let new = messages
            .into_iter()
            .map(|message| PublishRequest::new(message, isolated));
        let (queue, mut results): (Vec<_>, Vec<_>) = new.unzip();
        let Some(mut tickets) = self.queue.enter(queue) else {
            return results.iter().map(|_| closed()).collect();
        };
        let mut told = Vec::with_capacity(results.len());
        let all = async {
            for result in &mut results {
                told.push(result.await.unwrap_or_else(|_| closed()));
            }
        };
        if timeout_at(deadline, all).await.is_err() {
            // The last of them are those that the publish task has not taken.
            let taken = results.len() - tickets.give_up();
            for (n, result) in results.iter_mut().enumerate().skip(told.len()) {
                told.push(match result.try_recv() {
                    Ok(result) => result,
                    Err(TryRecvError::Empty | TryRecvError::Closed) => {
                        ConfirmResult::Known(Err(self.too_late(n >= taken)))
                    }
                });
            }
        }
        told
    }

    /// The error when the deadline passed over a message, which is or is not in the queue still.
    fn too_late(&self, queued: bool) -> PublishError {
        let after = self.deadline;
        match self.connection.blocked().and_then(|open| open.blocked()) {
            Some(reason) if queued => PublishError::Blocked { reason, after },
            _ => PublishError::TimedOut { after },
        }
    }

    /// Once told to close: waits until nothing is on its way any more.
    pub(crate) async fn done(&self) {
        self.done.cancelled().await;
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.queue.close();
    }
}

fn closed() -> ConfirmResult {
    ConfirmResult::Known(Err(PublishError::Closed))
}

/// For a message whose connection went with the channel of another each time.
fn unknown() -> PublishError {
    PublishError::Disconnected("the channel was closed before the message was confirmed".into())
}
