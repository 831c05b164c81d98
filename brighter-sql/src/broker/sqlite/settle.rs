//! How the broker in a file settles a delivery.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{self, BoxFuture, FutureExt};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::desk::{How, Settled};
use super::row::{Outgoing, millis};
use super::{DEADLINE, Handle};
use brighter_core::channel::{Channel, PublishError, Rejection, RejectionKind, Settle, SettleError};
use brighter_core::message::{ChannelName, Message};

/// The broker's side of one delivery.
pub(super) struct Receipt {
    pub(super) handle: Arc<Handle>,
    pub(super) channel: Arc<Channel>,
    pub(super) channel_id: i64,
    pub(super) seat: u64,
    pub(super) seq: i64,
    pub(super) session: i64,
    /// What came, or what is left of it.
    pub(super) message: Arc<Message>,
}

impl Receipt {
    fn settled(&self, how: How) -> Settled {
        Settled {
            seq: self.seq,
            session: self.session,
            seat: self.seat,
            channel: self.channel_id,
            how,
            reply: None,
        }
    }

    /// Lays it on the desk and waits until it is on the disk.
    fn written(self, how: How) -> BoxFuture<'static, Result<(), SettleError>> {
        let (reply, answer) = oneshot::channel();
        let mut settled = self.settled(how);
        settled.reply = Some(reply);
        if !self.handle.desk.lay(|batch| batch.settled.push(settled)) {
            return future::ready(Err(SettleError::Stale)).boxed();
        }
        async move {
            // The broker must not be closed for want of users while one still waits for it.
            let _handle = self.handle;
            match timeout(DEADLINE, answer).await {
                Ok(Ok(result)) => result,
                Ok(Err(_)) => Err(SettleError::Stale),
                Err(elapsed) => Err(SettleError::Other(elapsed.into())),
            }
        }
        .boxed()
    }

    /// A copy that cannot be made leaves the original in its channel.
    fn unwritten(self, error: PublishError) -> BoxFuture<'static, Result<(), SettleError>> {
        Box::new(self).release();
        future::ready(Err(SettleError::NotMoved(error))).boxed()
    }
}

impl Settle for Receipt {
    /// Nobody waits for the disk, as long as nothing is wrong with it: until the ack is there the message counts as
    /// one of those that its consumer has.
    fn ack(self: Box<Self>) -> BoxFuture<'static, Result<(), SettleError>> {
        if self.handle.desk.failure().is_some() {
            return self.written(How::Ack);
        }
        let settled = self.settled(How::Ack);
        if !self.handle.desk.lay(|batch| batch.settled.push(settled)) {
            return future::ready(Err(SettleError::Stale)).boxed();
        }
        // Has no size, so that its box is none.
        future::poll_fn(|_| Poll::Ready(Ok(()))).boxed()
    }

    fn requeue(
        self: Box<Self>,
        message: Message,
        delay: Duration,
    ) -> BoxFuture<'static, Result<(), SettleError>> {
        match Outgoing::new(&message) {
            Ok(message) => {
                let delay = millis(delay);
                self.written(How::Again { message, delay })
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
        match Outgoing::set_aside(&self.message, &rejection) {
            Ok(message) => self.written(How::Aside { message, to }),
            Err(error) => self.unwritten(error),
        }
    }

    fn move_to(
        self: Box<Self>,
        channel: ChannelName,
        message: Message,
    ) -> BoxFuture<'static, Result<(), SettleError>> {
        match Outgoing::new(&message) {
            Ok(message) => self.written(How::Aside { message, to: channel }),
            Err(error) => self.unwritten(error),
        }
    }

    fn release(self: Box<Self>) {
        let settled = self.settled(How::Release { counted: true });
        self.handle.desk.lay(|batch| batch.settled.push(settled));
    }
}
