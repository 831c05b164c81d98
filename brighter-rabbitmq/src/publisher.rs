//! Publishing, as callers see it: each message is confirmed, refused or given back, for itself and in time.
//!
//! The broker tells that a message made it close the channel, and not which. So those that were on the channel
//! are sent again, each alone: the culprit is found, and the others are not blamed. They may arrive twice.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::types::ShortString;
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::connection::Link;
use super::desk::Desk;
use super::error::said;
use super::gate::Gate;
use super::io::Io;
use super::options::Settings;
use super::queue::Queue;
use super::topology::{DeclareError, declare_exchange};
use super::{ConnectError, wire};
use brighter_core::channel::PublishError;
use brighter_core::message::Message;

/// Whether a message goes alone, try by try. One that did is tried again only where its connection went, and with the
/// channel of another.
const TRIES: [bool; 3] = [false, true, true];
/// Opening a channel and declaring the exchange take this long at most.
pub(super) const OPENING: Duration = Duration::from_secs(10);

/// A message as it goes to the broker.
pub(super) struct Outgoing {
    pub(super) exchange: ShortString,
    pub(super) routing_key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) body: Bytes,
}

pub(super) type Outcome = Result<(), PublishError>;

/// What the desk says of a message.
pub(super) enum Verdict {
    Known(Outcome),
    /// No queue wants it.
    CameBack,
    /// A queue that wants it did not take it.
    Refused,
    /// Its channel was closed over it, or over another that was on the way with it; or its connection with the channel
    /// of another.
    Suspect,
}

impl Verdict {
    /// What it means for the caller; nothing where the message must be sent again. Its routing key is asked for only
    /// where an error names it.
    fn outcome(self, make: impl FnOnce() -> Result<Outgoing, PublishError>) -> Option<Outcome> {
        let about = |error: fn(&str) -> PublishError| {
            Err(make().map_or_else(|error| error, |message| error(message.routing_key.as_str())))
        };
        Some(match self {
            Self::Known(outcome) => outcome,
            Self::CameBack => about(|key| PublishError::Unroutable { topic: key.into() }),
            Self::Refused => about(|key| PublishError::Refused {
                reason: format!("a queue for `{key}` would not take it; it may be full"),
            }),
            Self::Suspect => return None,
        })
    }
}

pub(super) struct Job {
    pub(super) message: Outgoing,
    /// It goes when no other is on its way, and none goes until it has arrived.
    pub(super) alone: bool,
    pub(super) reply: oneshot::Sender<Verdict>,
}

impl Job {
    pub(super) fn new(message: Outgoing, alone: bool) -> (Self, oneshot::Receiver<Verdict>) {
        let (reply, verdict) = oneshot::channel();
        let job = Self {
            message,
            alone,
            reply,
        };
        (job, verdict)
    }
}

/// Publishes messages, confirmed. Ends, once it is dropped or told to close, when all are.
pub(super) struct Publisher {
    jobs: Arc<Queue<Job, Gate>>,
    link: Arc<Link>,
    done: CancellationToken,
    deadline: Duration,
}

impl Publisher {
    pub(super) fn start(link: Arc<Link>, settings: Arc<Settings>, io: &Io, close: CancellationToken) -> Self {
        let jobs = Arc::new(Queue::new());
        let done = CancellationToken::new();
        let deadline = settings.confirm_within;
        let desk = Desk::new(Arc::clone(&jobs), Arc::clone(&link), settings);
        let finished = done.clone().drop_guard();
        io.spawn(async move {
            desk.run(close).await;
            drop(finished);
        });
        Self {
            jobs,
            link,
            done,
            deadline,
        }
    }

    /// Publishes the message that is made, and returns once the broker has confirmed. It is made again if it
    /// must be sent again.
    pub(super) async fn publish(&self, make: impl Fn() -> Result<Outgoing, PublishError> + Send) -> Outcome {
        let deadline = Instant::now() + self.deadline;
        for alone in TRIES {
            let (job, verdict) = Job::new(make()?, alone);
            // Held until the end: whoever gives up leaves the queue.
            let place = match self.link.blocked() {
                None => self.jobs.pass(job, Gate::pass),
                Some(_) => self.jobs.enter([job]),
            };
            let Some(mut place) = place else {
                return Err(PublishError::Closed);
            };
            match timeout_at(deadline, verdict).await {
                Ok(Ok(verdict)) => {
                    if let Some(outcome) = verdict.outcome(&make) {
                        return outcome;
                    }
                }
                Ok(Err(_)) => return Err(PublishError::Closed),
                Err(_) => return Err(self.too_late(place.give_up() > 0)),
            }
        }
        Err(unknown())
    }

    /// Publishes all messages that are made, in their order and at once, and tells what became of each.
    pub(super) async fn publish_all<'a>(
        &self,
        messages: &[&'a Message],
        make: impl Fn(&'a Message) -> Result<Outgoing, PublishError> + Send + Sync,
    ) -> Vec<Outcome> {
        let deadline = Instant::now() + self.deadline;
        let mut outcomes: Vec<_> = messages.iter().map(|_| Err(unknown())).collect();
        let mut open: Vec<usize> = (0..messages.len()).collect();
        for alone in TRIES {
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
            let mut verdicts = self.send(made, alone, deadline).await.into_iter();
            open.retain(|&n| {
                let verdict = verdicts.next();
                match verdict.and_then(|verdict| verdict.outcome(|| make(messages[n]))) {
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
    async fn send(&self, messages: Vec<Outgoing>, alone: bool, deadline: Instant) -> Vec<Verdict> {
        let new = messages.into_iter().map(|message| Job::new(message, alone));
        let (jobs, mut verdicts): (Vec<_>, Vec<_>) = new.unzip();
        let Some(mut places) = self.jobs.enter(jobs) else {
            return verdicts.iter().map(|_| closed()).collect();
        };
        let mut told = Vec::with_capacity(verdicts.len());
        let all = async {
            for verdict in &mut verdicts {
                told.push(verdict.await.unwrap_or_else(|_| closed()));
            }
        };
        if timeout_at(deadline, all).await.is_err() {
            // The last of them are those that the desk has not taken.
            let taken = verdicts.len() - places.give_up();
            for (n, verdict) in verdicts.iter_mut().enumerate().skip(told.len()) {
                told.push(match verdict.try_recv() {
                    Ok(verdict) => verdict,
                    Err(TryRecvError::Empty | TryRecvError::Closed) => {
                        Verdict::Known(Err(self.too_late(n >= taken)))
                    }
                });
            }
        }
        told
    }

    /// The error when the deadline passed over a message, which is or is not in the queue still.
    fn too_late(&self, queued: bool) -> PublishError {
        let after = self.deadline;
        match self.link.blocked().and_then(|open| open.blocked()) {
            Some(reason) if queued => PublishError::Blocked { reason, after },
            _ => PublishError::TimedOut { after },
        }
    }

    /// Once told to close: waits until nothing is on its way any more.
    pub(super) async fn done(&self) {
        self.done.cancelled().await;
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.jobs.close();
    }
}

fn closed() -> Verdict {
    Verdict::Known(Err(PublishError::Closed))
}

/// For a message whose connection went with the channel of another each time.
fn unknown() -> PublishError {
    PublishError::Disconnected("the channel was closed before the message was confirmed".into())
}

/// Declares the exchange on a channel that is thrown away.
pub(super) async fn check_exchange(
    connection: &lapin::Connection,
    settings: &Settings,
) -> Result<(), ConnectError> {
    let declaring = async {
        let channel = connection.create_channel().await?;
        declare_exchange(&channel, settings).await?;
        channel.close(200, "done".into()).await?;
        Ok(())
    };
    timeout(OPENING, declaring)
        .await
        .map_err(|_| ConnectError::silent(&settings.address, OPENING))?
        .map_err(|error| exchange_error(error, settings))
}

pub(super) fn exchange_error(error: DeclareError, settings: &Settings) -> ConnectError {
    let exchange = settings.exchange.clone();
    match error {
        DeclareError::Name(error) => ConnectError::Exchange {
            exchange,
            reason: error.to_string(),
        },
        DeclareError::Broker(error) if super::error::of_channel(&error).is_some() => ConnectError::Exchange {
            exchange,
            reason: said(&error),
        },
        DeclareError::Broker(error) => ConnectError::of_attempt(error, &settings.address),
    }
}

/// A message for the exchange, checked for what the broker would close the channel or the connection over.
pub(super) fn outgoing(message: &Message, settings: &Settings) -> Result<Outgoing, PublishError> {
    message.header.topic.validate()?;
    let properties = wire::properties(message)?;
    let body = message.body.to_bytes();
    fits(body.len(), settings.max_message_bytes)?;
    Ok(Outgoing {
        exchange: wire::short("exchange name", &settings.exchange)?,
        routing_key: wire::short("routing key", message.header.topic.as_str())?,
        properties,
        body,
    })
}

pub(super) fn fits(bytes: usize, limit: usize) -> Result<(), PublishError> {
    if bytes > limit {
        return Err(PublishError::TooLarge { bytes, limit });
    }
    Ok(())
}
