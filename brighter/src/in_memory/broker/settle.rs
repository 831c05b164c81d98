//! How the in-memory broker settles a delivery.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{self, BoxFuture, FutureExt};

use super::consumer::Common;
use super::queue::Item;
use super::watcher::Departure;
use brighter_core::channel::{PublishError, Rejection, RejectionKind, Settle, SettleError};
use brighter_core::message::{ChannelName, Message, RoutingKey};

/// The broker's side of one delivery.
pub(super) struct Receipt {
    common: Arc<Common>,
    item: Item,
}

impl Receipt {
    pub(super) fn new(common: Arc<Common>, item: Item) -> Self {
        Self { common, item }
    }
}

/// Has no size, so that its box is none.
fn done() -> BoxFuture<'static, Result<(), SettleError>> {
    future::poll_fn(|_| Poll::Ready(Ok(()))).boxed()
}

impl Settle for Receipt {
    fn ack(self: Box<Self>) -> BoxFuture<'static, Result<(), SettleError>> {
        self.common.queue.departed(&self.item.message, Departure::Done);
        self.common.settled();
        done()
    }

    fn requeue(
        self: Box<Self>,
        message: Message,
        delay: Duration,
    ) -> BoxFuture<'static, Result<(), SettleError>> {
        self.common.queue.requeue(&self.item.message, message, delay);
        self.common.settled();
        done()
    }

    fn reject(self: Box<Self>, rejection: Rejection) -> BoxFuture<'static, Result<(), SettleError>> {
        let Self { common, item } = *self;
        let name = match rejection.kind {
            RejectionKind::Invalid => &common.channel.invalid_messages,
            _ => &common.channel.dead_letters,
        };
        // It may have been removed since the channel was consumed.
        let to = common.broker.read().find(name).cloned();
        let Some(to) = to else {
            let topic = RoutingKey::from(name.as_str());
            common.queue.put_back(item);
            common.settled();
            return future::ready(Err(SettleError::NotMoved(PublishError::Unroutable { topic }))).boxed();
        };
        common.queue.set_aside(item, &rejection, &to);
        common.settled();
        done()
    }

    fn move_to(
        self: Box<Self>,
        channel: ChannelName,
        message: Message,
    ) -> BoxFuture<'static, Result<(), SettleError>> {
        let Self { common, item } = *self;
        let Some(to) = common.broker.read().find(&channel).cloned() else {
            let topic = RoutingKey::from(channel.as_str());
            common.queue.put_back(item);
            common.settled();
            return future::ready(Err(SettleError::NotMoved(PublishError::Unroutable { topic }))).boxed();
        };
        common.queue.move_to(&item.message, message, false, &to);
        common.settled();
        done()
    }

    fn release(self: Box<Self>) {
        let Self { common, item } = *self;
        common.queue.put_back(item);
        common.settled();
    }
}
