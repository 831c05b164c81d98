//! [`Publisher`]: publishes for callers. Each message is confirmed, refused or returned individually, within its
//! deadline.
//!
//! If a message makes the broker close the channel, the broker does not name the message. So all messages of that
//! channel are sent again, each alone. That identifies the cause, and the other messages succeed. They may arrive
//! twice. So may messages that are sent again because their connection was given up without confirms.

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

/// Whether a message is sent alone, attempt by attempt. An isolated message is tried again only if its connection ended
/// together with the channel of another.
const TRIES: [bool; 3] = [false, true, true];

/// Publishes messages with confirms. After it is dropped or closed, it ends when all messages are done.
pub(crate) struct Publisher {
    queue: Arc<PublishQueue<PublishRequest, FastPath>>,
    connection: Arc<ConnectionHandle>,
    /// Set to request a new channel for later messages.
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

    /// Publishes on a new channel from now on, because a queue may have been declared anew: see [`RouteChanges`].
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

    /// Publishes the message that `make` returns, and returns once the broker has confirmed it. `make` is called again
    /// for each further attempt.
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
                    // The message is sent again each time its connection is given up, until the deadline.
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

    /// Publishes all messages at once, in their order, and returns their results.
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

    /// Returns one result for each message.
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
            // The publish task has not taken the last ones.
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

    /// Returns the error for a passed deadline. `queued` is whether the message is still in the queue.
    fn too_late(&self, queued: bool) -> PublishError {
        let after = self.deadline;
        match self.connection.blocked().and_then(|open| open.blocked()) {
            Some(reason) if queued => PublishError::Blocked { reason, after },
            _ => PublishError::TimedOut { after },
        }
    }

    /// Waits until nothing is in flight, after the publisher was closed.
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

/// The error of a message whose connection ended, at each attempt, with the channel of another.
fn unknown() -> PublishError {
    PublishError::Disconnected("the channel was closed before the message was confirmed".into())
}
