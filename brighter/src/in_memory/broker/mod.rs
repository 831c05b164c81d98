//! [`InMemoryBroker`]: a broker inside the process, for tests and for programs that need no other.

mod consumer;
mod delay_queue;
mod in_flight;
mod queue;
mod settle;
mod shared;
mod topology;
mod waiters;
#[cfg_attr(not(feature = "testing"), allow(dead_code, reason = "only tests watch"))]
mod watcher;

use std::sync::Arc;

use futures_util::future::{self, BoxFuture, FutureExt};
use tokio::task::coop::consume_budget;

use self::consumer::Deliveries;
use self::shared::Shared;
use self::topology::QueueTable;
use self::watcher::WatcherSlot;
#[cfg(feature = "testing")]
pub(crate) use self::watcher::{Departure, Watcher};
use brighter_core::channel::{
    Broker, BrokerStatus, Channel, ChannelError, ChannelUsage, Consumer, ConsumerBounds, Producer,
    PublishError,
};
use brighter_core::message::{ChannelName, Message, RoutingKey};

/// A broker inside the process: topics, a copy of each message for every channel that wants it, competing
/// consumers, redelivery of what was not settled, delays, dead letters. It behaves as RabbitMQ does with a
/// topic exchange, so moving there is one line.
///
/// It keeps the limits of a [`Channel`] as well: time to live, length, deliveries, a single active consumer,
/// priorities. A message whose priority is above the highest of a channel is refused, where RabbitMQ takes it for the
/// highest. A queue type means nothing in one process.
///
/// As RabbitMQ does, it gives a message to a consumer that asked for one and has room, in turn, whether its
/// task still looks or not: who pauses drops the consumer.
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
        Self(Arc::new(Shared::new(
            QueueTable::new(WatcherSlot::new()),
            DEFAULT_LIMIT,
        )))
    }

    /// Sets how many messages each channel may hold, for every clone of this broker. A channel that is full refuses
    /// more, with [`PublishError::ChannelFull`]; other channels that want the topic have their copies.
    #[must_use]
    pub fn limit(self, messages: usize) -> Self {
        self.0.set_limit(messages);
        self
    }

    /// Declares a channel for a test whose builder is not async.
    #[cfg(feature = "testing")]
    pub(crate) fn declare_now(&self, channel: &Channel) -> Result<(), ChannelError> {
        self.0.write().open(channel).map(drop)
    }

    /// The messages that wait in a channel, the next one first. None, if there is no such channel.
    #[must_use]
    pub fn messages(&self, channel: impl Into<ChannelName>) -> Vec<Message> {
        let queue = self.0.read().find(&channel.into()).cloned();
        queue.map(|queue| queue.waiting()).unwrap_or_default()
    }

    /// Reports every event of a message to this watcher. Returns whether there was no watcher yet.
    #[cfg(feature = "testing")]
    pub(crate) fn watched_by(&self, watcher: Arc<dyn Watcher>) -> bool {
        self.0.read().watched_by(watcher)
    }
}

impl Producer for InMemoryBroker {
    fn publish<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), PublishError>> {
        async move {
            // Nothing here ever waits: a loop that publishes would keep the thread from its consumers.
            consume_budget().await;
            self.0.publish(message)
        }
        .boxed()
    }

    fn publish_all<'a>(&'a self, messages: Vec<&'a Message>) -> BoxFuture<'a, Vec<Result<(), PublishError>>> {
        async move {
            consume_budget().await;
            let publish = |message| self.0.publish(message);
            messages.into_iter().map(publish).collect()
        }
        .boxed()
    }

    fn highest_priority(&self) -> Option<u8> {
        Some(u8::MAX)
    }
}

impl Broker for InMemoryBroker {
    fn system(&self) -> &'static str {
        "in_memory"
    }

    fn consume<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Consumer, ChannelError>> {
        future::lazy(|_| {
            let opened = self.0.write().open(channel)?;
            Ok(Consumer::new(Deliveries::new(
                Arc::clone(&self.0),
                opened,
                channel,
            )))
        })
        .boxed()
    }

    /// A channel of one process alone needs a consumer to stay.
    fn declare<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<(), ChannelError>> {
        future::lazy(|_| self.0.write().open(channel).map(drop)).boxed()
    }

    fn remove<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<(), ChannelError>> {
        future::lazy(|_| self.0.write().remove(channel)).boxed()
    }

    fn send_to<'a>(
        &'a self,
        channel: &'a ChannelName,
        message: &'a Message,
    ) -> BoxFuture<'a, Result<(), PublishError>> {
        async move {
            consume_budget().await;
            let queue = {
                let topology = self.0.read();
                if topology.is_closed() {
                    return Err(PublishError::Closed);
                }
                topology.find(channel).cloned()
            };
            let topic = || RoutingKey::from(channel.as_str());
            let queue = queue.ok_or_else(|| PublishError::Unroutable { topic: topic() })?;
            queue.accept(message.clone());
            Ok(())
        }
        .boxed()
    }

    /// `None`, if there is no such channel. What waits for its delay does not count.
    fn depth<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Option<u64>, ChannelError>> {
        future::lazy(|_| {
            let topology = self.0.read();
            if topology.is_closed() {
                return Err(ChannelError::Closed);
            }
            Ok(topology.find(&channel.name).map(|queue| queue.depth()))
        })
        .boxed()
    }

    fn consumer_count(&self, channel: &ChannelName) -> Option<u64> {
        let queue = self.0.read().find(channel).cloned();
        Some(queue.map_or(0, |queue| queue.consumers()))
    }

    fn channels(&self) -> BoxFuture<'_, Result<Vec<ChannelUsage>, ChannelError>> {
        future::lazy(|_| self.0.read().usage(self.0.limit())).boxed()
    }

    fn bounds(&self, channel: &Channel) -> ConsumerBounds {
        match channel.limits.deliveries {
            Some(times) => ConsumerBounds::new().deliveries(times),
            None => ConsumerBounds::new(),
        }
    }

    fn status(&self) -> BrokerStatus {
        if self.0.read().is_closed() {
            BrokerStatus::Closed
        } else {
            BrokerStatus::Connected
        }
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        future::lazy(|_| self.0.write().close()).boxed()
    }
}
