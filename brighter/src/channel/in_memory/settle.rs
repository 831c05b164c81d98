//! How the in-memory broker settles a delivery.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{self, BoxFuture, FutureExt};

use super::Shared;
use super::queues::Queues;
use crate::channel::{Channel, Rejection, RejectionKind, Settle, SettleError};
use crate::message::Message;

/// The broker's side of one delivery.
pub(super) struct Receipt {
    pub(super) broker: Arc<Shared>,
    pub(super) channel: Arc<Channel>,
    pub(super) queue: usize,
    pub(super) loans: Arc<AtomicUsize>,
    pub(super) message: Option<Message>,
}

impl Receipt {
    /// Ends the loan, and does with the queues what becomes of the message.
    fn end(mut self: Box<Self>, then: impl FnOnce(&mut Queues, &Receipt, Message)) {
        if let Some(message) = self.message.take() {
            let mut queues = self.broker.lock();
            self.loans.fetch_sub(1, Ordering::Relaxed);
            then(&mut queues, &self, message);
            queues.wake(self.queue);
        }
    }
}

fn done() -> BoxFuture<'static, Result<(), SettleError>> {
    future::ready(Ok(())).boxed()
}

impl Settle for Receipt {
    fn ack(self: Box<Self>) -> BoxFuture<'static, Result<(), SettleError>> {
        self.end(|_, _, _| {});
        done()
    }

    fn requeue(
        self: Box<Self>,
        message: Message,
        delay: Duration,
    ) -> BoxFuture<'static, Result<(), SettleError>> {
        if delay.is_zero() {
            self.end(|queues, receipt, _| queues.requeue(receipt.queue, message));
        } else {
            let (broker, queue) = (Arc::clone(&self.broker), self.queue);
            self.end(|queues, receipt, _| queues.delay(receipt.queue));
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                broker.lock().undelay(queue, message);
            });
        }
        done()
    }

    fn reject(self: Box<Self>, rejection: Rejection) -> BoxFuture<'static, Result<(), SettleError>> {
        self.end(|queues, receipt, mut message| {
            let channel = match rejection.kind {
                RejectionKind::DeadLetter => &receipt.channel.dead_letters,
                RejectionKind::Invalid => &receipt.channel.invalid_messages,
            };
            rejection.annotate(&mut message.header);
            queues.move_to(channel, message);
        });
        done()
    }

    fn release(self: Box<Self>) {
        self.end(|queues, receipt, message| queues.put_back(receipt.queue, message));
    }
}
