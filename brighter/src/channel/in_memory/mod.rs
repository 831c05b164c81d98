//! [`InMemoryBroker`]: a broker inside the process, for tests and for programs that need no other.

mod queues;
mod settle;

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::future::{self, BoxFuture};

use self::queues::Queues;
use self::settle::Receipt;
use super::{Broker, Channel, ChannelError, Consumer, Delivery, Producer, PublishError};
use crate::message::{ChannelName, Message};

/// A broker inside the process: topics, a copy of each message for every channel that wants it, competing
/// consumers, redelivery of what was not settled, delays, dead letters. It behaves as RabbitMQ does with a
/// topic exchange, so moving there is one line.
///
/// Nothing outlives the process: what must not be lost belongs in a broker that keeps it on disk.
///
/// Clones are the same broker.
///
/// ```
/// use brighter::InMemoryBroker;
///
/// let broker = InMemoryBroker::new();
/// assert!(broker.messages("task-reminders.dlq").is_empty());
/// ```
#[derive(Debug, Clone)]
pub struct InMemoryBroker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    queues: Mutex<Queues>,
    limit: usize,
}

/// Room for a burst; far less than memory, far more than a healthy channel ever holds.
const DEFAULT_LIMIT: usize = 1_000_000;

impl Default for InMemoryBroker {
    fn default() -> Self {
        Self::new()
    }
}

impl InMemoryBroker {
    /// A broker with no channels, whose channels will hold a million messages each.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(DEFAULT_LIMIT)
    }

    /// A broker whose channels hold this many messages each. A channel that is full refuses more, with
    /// [`PublishError::Refused`].
    #[must_use]
    pub fn with_limit(messages: usize) -> Self {
        Self(Arc::new(Shared {
            queues: Mutex::default(),
            limit: messages,
        }))
    }

    /// Makes the channel, as consuming it would, so that messages gather in it before anyone consumes.
    ///
    /// # Errors
    /// A name that no broker takes, or the broker is closed.
    pub fn declare(&self, channel: &Channel) -> Result<(), ChannelError> {
        channel.validate()?;
        self.0.lock().declare(channel).map(|_| ())
    }

    /// The messages that wait in a channel, the next one first. None, if there is no such channel.
    #[must_use]
    pub fn messages(&self, channel: impl Into<ChannelName>) -> Vec<Message> {
        self.0.lock().waiting(&channel.into())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Producer for InMemoryBroker {
    fn publish<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), PublishError>> {
        Box::pin(future::lazy(|_| {
            message.header.topic.validate()?;
            self.0.lock().publish(message, self.0.limit)
        }))
    }
}

impl Broker for InMemoryBroker {
    fn system(&self) -> &'static str {
        "in_memory"
    }

    fn consume<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Consumer, ChannelError>> {
        Box::pin(future::lazy(|_| {
            channel.validate()?;
            let queue = self.0.lock().declare(channel)?;
            Ok(Consumer::new(Deliveries {
                broker: Arc::clone(&self.0),
                channel: Arc::new(channel.clone()),
                queue,
                loans: Arc::new(AtomicUsize::new(0)),
                waiter: None,
            }))
        }))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(future::lazy(|_| self.0.lock().close()))
    }
}

/// The deliveries of one consumer.
struct Deliveries {
    broker: Arc<Shared>,
    channel: Arc<Channel>,
    queue: usize,
    /// How many this consumer has that are not settled.
    loans: Arc<AtomicUsize>,
    /// Where this consumer waits in the queue, once it has.
    waiter: Option<usize>,
}

impl Stream for Deliveries {
    type Item = Result<Delivery, ChannelError>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let broker = Arc::clone(&self.broker);
        let mut queues = broker.lock();
        if queues.is_closed() {
            return Poll::Ready(None);
        }
        // Loans are given back under the same lock, so a place that comes free after this look wakes the task.
        let full = self.loans.load(Ordering::Relaxed) >= usize::from(self.channel.buffer.get());
        let Some(message) = (if full { None } else { queues.take(self.queue) }) else {
            self.waiter = Some(queues.wait(self.queue, self.waiter, task.waker()));
            return Poll::Pending;
        };
        self.loans.fetch_add(1, Ordering::Relaxed);
        drop(queues);
        let receipt = Receipt {
            broker,
            channel: Arc::clone(&self.channel),
            queue: self.queue,
            loans: Arc::clone(&self.loans),
            message: Some(message.clone()),
        };
        Poll::Ready(Some(Ok(Delivery::new(message, Box::new(receipt)))))
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter {
            self.broker.lock().forget(self.queue, waiter);
        }
    }
}
