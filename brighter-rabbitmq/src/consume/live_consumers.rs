//! [`LiveConsumers`]: the current consumers of a broker.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::{join_all, try_join_all};
use tokio::time::timeout;

use super::consumer_channel::ConsumerChannel;
use crate::connection::OpenConnection;
use brighter_core::channel::SettleError;
use brighter_core::message::ChannelName;

/// The deadline for writing acknowledgements when a caller waits for it.
const FLUSHING: Duration = Duration::from_secs(10);

/// A consumer that is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveConsumer {
    /// The channel that it consumes.
    pub channel: ChannelName,
    /// The generation of the connection that it is on, counted from 1.
    pub connection: u64,
}

/// The channels of all current consumers.
#[derive(Default)]
pub(crate) struct LiveConsumers(Mutex<Vec<Weak<ConsumerChannel>>>);

impl LiveConsumers {
    pub(super) fn add(&self, consumer: &Arc<ConsumerChannel>) {
        let mut consumers = self.lock();
        consumers.retain(|consumer| consumer.strong_count() > 0);
        consumers.push(Arc::downgrade(consumer));
    }

    /// Returns the consumers that receive messages, or would if there were any.
    pub(crate) fn consumers(&self) -> Vec<LiveConsumer> {
        let consumers = self
            .all()
            .into_iter()
            .filter(|consumer| consumer.is_consuming())
            .map(|consumer| LiveConsumer {
                channel: consumer.channel.name.clone(),
                connection: consumer.generation,
            });
        consumers.collect()
    }

    /// Returns the number of consumers on this connection that receive messages, or would if there were any.
    pub(super) fn on(&self, open: &Arc<OpenConnection>) -> usize {
        let consumers = self.all().into_iter();
        let on = consumers.filter(|consumer| consumer.is_consuming() && consumer.is_on(open));
        on.count()
    }

    /// Returns the number of consumers of a channel that receive messages, or would if there were any.
    pub(crate) fn count(&self, channel: &ChannelName) -> usize {
        let consumers = self.all().into_iter();
        let of = consumers.filter(|consumer| consumer.is_consuming() && consumer.channel.name == *channel);
        of.count()
    }

    /// Writes the waiting acknowledgements, and returns when the broker has read them.
    pub(crate) async fn flush(&self) -> Result<(), SettleError> {
        let consumers = self.all();
        let flushing = consumers.iter().map(|consumer| consumer.flush());
        match timeout(FLUSHING, try_join_all(flushing)).await {
            Ok(flushed) => flushed.map(drop),
            Err(elapsed) => Err(SettleError::Other(elapsed.into())),
        }
    }

    /// Waits until no delivery is being replaced by a copy.
    pub(crate) async fn copied(&self) {
        let consumers = self.all();
        join_all(consumers.iter().map(|consumer| consumer.copied())).await;
    }

    /// Writes the waiting acknowledgements, before the connection closes.
    pub(crate) fn write_all(&self) {
        self.all().iter().for_each(|consumer| consumer.write_all());
    }

    fn all(&self) -> Vec<Arc<ConsumerChannel>> {
        self.lock().iter().filter_map(Weak::upgrade).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<ConsumerChannel>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
