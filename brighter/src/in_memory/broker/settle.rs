//! How the in-memory broker settles a delivery.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{self, BoxFuture, FutureExt};

use super::in_flight::InFlightCount;
use super::queue::{Item, MemoryQueue};
use super::shared::Shared;
use super::watcher::Departure;
use brighter_core::channel::{Channel, PublishError, Rejection, RejectionKind, Settle, SettleError};
use brighter_core::message::{ChannelName, Message, RoutingKey};

/// The state that a consumer and its deliveries share.
#[derive(Debug)]
pub(super) struct DeliverySource {
    pub(super) queue: Arc<MemoryQueue>,
    pub(super) broker: Arc<Shared>,
    /// The channel that an error names when there is no such channel.
    pub(super) channel: Channel,
    pub(super) in_flight: Arc<InFlightCount>,
}

impl DeliverySource {
    /// Puts a message back. Its consumer is alive, so that a message that others died of counts no further.
    fn put_back(&self, item: Item) {
        let counted = !self.channel.suspects(item.redeliveries);
        self.queue.put_back(item, counted);
    }

    /// A delivery is settled.
    fn settled(&self) {
        self.in_flight.remove();
    }
}

/// The broker's side of one delivery.
pub(super) struct Receipt {
    source: Arc<DeliverySource>,
    item: Item,
}

impl Receipt {
    pub(super) fn new(source: Arc<DeliverySource>, item: Item) -> Self {
        Self { source, item }
    }
}

/// A future without a size, so that its box allocates nothing.
fn done() -> BoxFuture<'static, Result<(), SettleError>> {
    future::poll_fn(|_| Poll::Ready(Ok(()))).boxed()
}

impl Settle for Receipt {
    fn ack(self: Box<Self>) -> BoxFuture<'static, Result<(), SettleError>> {
        self.source.queue.departed(&self.item.message, Departure::Done);
        self.source.settled();
        done()
    }

    fn requeue(
        self: Box<Self>,
        message: Message,
        delay: Duration,
    ) -> BoxFuture<'static, Result<(), SettleError>> {
        self.source.queue.requeue(&self.item.message, message, delay);
        self.source.settled();
        done()
    }

    fn reject(self: Box<Self>, rejection: Rejection) -> BoxFuture<'static, Result<(), SettleError>> {
        let Self { source, item } = *self;
        let name = match rejection.kind {
            RejectionKind::Invalid => &source.channel.invalid_messages,
            _ => &source.channel.dead_letters,
        };
        // It may have been removed since the channel was consumed.
        let to = source.broker.read().find(name).cloned();
        let Some(to) = to else {
            let topic = RoutingKey::from(name.as_str());
            source.put_back(item);
            source.settled();
            return future::ready(Err(SettleError::NotMoved(PublishError::Unroutable { topic }))).boxed();
        };
        source.queue.set_aside(item, &rejection, &to);
        source.settled();
        done()
    }

    fn move_to(
        self: Box<Self>,
        channel: ChannelName,
        message: Message,
    ) -> BoxFuture<'static, Result<(), SettleError>> {
        let Self { source, item } = *self;
        let Some(to) = source.broker.read().find(&channel).cloned() else {
            let topic = RoutingKey::from(channel.as_str());
            source.put_back(item);
            source.settled();
            return future::ready(Err(SettleError::NotMoved(PublishError::Unroutable { topic }))).boxed();
        };
        source.queue.move_to(&item.message, message, false, &to);
        source.settled();
        done()
    }

    fn release(self: Box<Self>) {
        let Self { source, item } = *self;
        source.put_back(item);
        source.settled();
    }
}
