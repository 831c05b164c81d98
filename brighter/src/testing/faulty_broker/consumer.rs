//! The consumers of a faulty broker, and how their deliveries are settled.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream;

use super::fault::SettleFault;
use super::link::disconnected;
use super::shared::Shared;
use brighter_core::channel::{ChannelError, Consumer, Delivery, Rejection, Settle, SettleError};
use brighter_core::message::{ChannelName, Message};

/// A consumer that gives out what another does, until the connection is lost.
pub(super) fn over(broker: Arc<Shared>, inner: Consumer, generation: u64) -> Consumer {
    let next = move |inner: Option<Consumer>| {
        let broker = Arc::clone(&broker);
        async move {
            let mut inner = inner?;
            let delivery = tokio::select! {
                biased;
                () = broker.link.lost(generation) => Err(disconnected()),
                delivery = async {
                    broker.link.free().await;
                    inner.receive().await
                } => delivery?,
            };
            match delivery.and_then(|delivery| lend(&broker, delivery, generation)) {
                Ok(delivery) => Some((Ok(delivery), Some(inner))),
                Err(error) => Some((Err(error), None)),
            }
        }
    };
    inner.around(|inner| stream::unfold(Some(inner), next))
}

fn lend(broker: &Arc<Shared>, delivery: Delivery, generation: u64) -> Result<Delivery, ChannelError> {
    let Some((message, redeliveries, settle)) = delivery.into_parts() else {
        return Err(disconnected());
    };
    let number = broker.link.lend(generation, settle).ok_or_else(disconnected)?;
    let loan = Loan {
        broker: Arc::clone(broker),
        number,
        generation,
    };
    Ok(Delivery::new(message, Box::new(loan)).with_redeliveries(redeliveries))
}

/// One delivery, until it is settled or its connection lost.
struct Loan {
    broker: Arc<Shared>,
    number: u64,
    generation: u64,
}

impl Loan {
    /// Returns the settler of the delivery, if it can be settled.
    async fn settle(&self) -> Result<Box<dyn Settle>, SettleError> {
        if !self.broker.link.has(self.number) {
            return Err(SettleError::Stale);
        }
        let fault = {
            let script = self.broker.script.lock();
            script.unwrap_or_else(PoisonError::into_inner).settle()
        };
        match fault {
            None => self.broker.link.take(self.number).ok_or(SettleError::Stale),
            // Dropping this gives it back.
            Some(SettleFault::Fails) => Err(SettleError::Other("told to fail".into())),
            Some(SettleFault::Hangs) => {
                self.broker.link.lost(self.generation).await;
                Err(SettleError::Stale)
            }
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(settle) = self.broker.link.take(self.number) {
            settle.release();
        }
    }
}

impl Settle for Loan {
    fn lost(&self) -> BoxFuture<'static, ()> {
        let (broker, generation) = (self.broker.clone(), self.generation);
        async move { broker.link.lost(generation).await }.boxed()
    }

    fn ack(self: Box<Self>) -> BoxFuture<'static, Result<(), SettleError>> {
        async move { self.settle().await?.ack().await }.boxed()
    }

    fn requeue(
        self: Box<Self>,
        message: Message,
        delay: Duration,
    ) -> BoxFuture<'static, Result<(), SettleError>> {
        async move { self.settle().await?.requeue(message, delay).await }.boxed()
    }

    fn reject(self: Box<Self>, rejection: Rejection) -> BoxFuture<'static, Result<(), SettleError>> {
        async move { self.settle().await?.reject(rejection).await }.boxed()
    }

    fn move_to(
        self: Box<Self>,
        channel: ChannelName,
        message: Message,
    ) -> BoxFuture<'static, Result<(), SettleError>> {
        async move { self.settle().await?.move_to(channel, message).await }.boxed()
    }

    fn postpone(self: Box<Self>, delay: Duration) -> BoxFuture<'static, Result<(), SettleError>> {
        async move { self.settle().await?.postpone(delay).await }.boxed()
    }

    fn release(self: Box<Self>) {}
}
