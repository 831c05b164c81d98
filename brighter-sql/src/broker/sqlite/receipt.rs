//! [`Receipt`]: settles a delivery of the broker in a file.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{self, BoxFuture, FutureExt};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::handle::{BrokerHandle, DEADLINE};
use super::request::{SettleAction, Settled};
use super::row::{StoredMessage, millis};
use brighter_core::channel::{Channel, PublishError, Rejection, RejectionKind, Settle, SettleError};
use brighter_core::message::{ChannelName, Message};

/// The broker's side of one delivery.
pub(super) struct Receipt {
    pub(super) handle: Arc<BrokerHandle>,
    pub(super) channel: Arc<Channel>,
    pub(super) channel_id: i64,
    pub(super) consumer: u64,
    pub(super) seq: i64,
    pub(super) session: i64,
    pub(super) redeliveries: u32,
    /// The message, or the readable rest of a malformed one.
    pub(super) message: Arc<Message>,
}

impl Receipt {
    fn settled(&self, action: SettleAction) -> Settled {
        Settled {
            seq: self.seq,
            session: self.session,
            consumer: self.consumer,
            channel: self.channel_id,
            action,
            reply: None,
        }
    }

    /// Queues the settlement, and waits until it is on the disk.
    fn written(self, action: SettleAction) -> BoxFuture<'static, Result<(), SettleError>> {
        let (reply, answer) = oneshot::channel();
        let mut settled = self.settled(action);
        settled.reply = Some(reply);
        if !self.handle.queue.push(|items| items.settled.push(settled)) {
            return future::ready(Err(SettleError::Stale)).boxed();
        }
        async move {
            // Keeps the broker open while a caller still waits.
            let _handle = self.handle;
            match timeout(DEADLINE, answer).await {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err(SettleError::Stale),
                Err(elapsed) => Err(SettleError::Other(elapsed.into())),
            }
        }
        .boxed()
    }

    /// Returns the original to its channel, because the copy cannot be made.
    fn unwritten(self, error: PublishError) -> BoxFuture<'static, Result<(), SettleError>> {
        Box::new(self).release();
        future::ready(Err(SettleError::NotMoved(error))).boxed()
    }
}

impl Settle for Receipt {
    /// Returns without waiting for the disk, unless writing has failed: until the ack is written, the message counts as
    /// held by its consumer.
    fn ack(self: Box<Self>) -> BoxFuture<'static, Result<(), SettleError>> {
        if self.handle.queue.failure().is_some() {
            return self.written(SettleAction::Ack);
        }
        let settled = self.settled(SettleAction::Ack);
        if !self.handle.queue.push(|items| items.settled.push(settled)) {
            return future::ready(Err(SettleError::Stale)).boxed();
        }
        // The future has no size, so boxing it does not allocate.
        future::poll_fn(|_| Poll::Ready(Ok(()))).boxed()
    }

    fn requeue(
        self: Box<Self>,
        message: Message,
        delay: Duration,
    ) -> BoxFuture<'static, Result<(), SettleError>> {
        match StoredMessage::new(&message) {
            Ok(message) => {
                let delay = millis(delay);
                self.written(SettleAction::Again { message, delay })
            }
            Err(error) => self.unwritten(error),
        }
    }

    fn reject(self: Box<Self>, rejection: Rejection) -> BoxFuture<'static, Result<(), SettleError>> {
        let to = match rejection.kind {
            RejectionKind::Invalid => &self.channel.invalid_messages,
            _ => &self.channel.dead_letters,
        };
        let to = to.clone();
        match StoredMessage::set_aside(&self.message, &rejection) {
            Ok(message) => self.written(SettleAction::Aside { message, to }),
            Err(error) => self.unwritten(error),
        }
    }

    fn move_to(
        self: Box<Self>,
        channel: ChannelName,
        message: Message,
    ) -> BoxFuture<'static, Result<(), SettleError>> {
        match StoredMessage::new(&message) {
            Ok(message) => self.written(SettleAction::Aside { message, to: channel }),
            Err(error) => self.unwritten(error),
        }
    }

    /// Does not count a suspected message any further, because its consumer is alive.
    fn release(self: Box<Self>) {
        let counted = !self.channel.suspects(self.redeliveries);
        let settled = self.settled(SettleAction::Release { counted });
        self.handle.queue.push(|items| items.settled.push(settled));
    }
}
