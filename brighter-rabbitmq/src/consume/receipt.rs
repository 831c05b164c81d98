//! [`Receipt`]: settles one delivery. A copy is safe at the broker before its original is removed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use lapin::BasicProperties;
use lapin::types::ShortString;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::consumer_channel::ConsumerChannel;
use super::redeliveries::Redeliveries;
use crate::publish::{DelayPlace, LONGEST_IN_HAND, Outgoing};
use crate::topology::delay;
use crate::wire::{self, Original};
use brighter_core::__private::report;
use brighter_core::channel::{Delivery, PublishError, Rejection, RejectionKind, Rounds, Settle, SettleError};
use brighter_core::message::{ChannelName, Message};

/// The pause before a message returns to its queue after its copy could not be published.
const BEFORE_GIVING_BACK: Duration = Duration::from_secs(1);
/// How often to look whether the broker has taken a message back.
const LOOK: Duration = Duration::from_millis(250);
/// The deadline for the broker to read an acknowledgement.
const ACKED_WITHIN: Duration = Duration::from_secs(5);

/// A delivery that is not settled. If it is dropped first, as when its handling is cancelled, it returns to its queue.
pub(super) struct Receipt {
    consumer: Arc<ConsumerChannel>,
    tag: u64,
    original: Original,
    redeliveries: Redeliveries,
    settled: bool,
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let Redeliveries {
            times,
            counts_releases,
            ..
        } = self.redeliveries;
        if counts_releases && self.consumer.makes_copies() && self.consumer.channel.suspects(times) {
            self.give_back_uncounted();
        } else {
            self.consumer.give_back(self.tag);
        }
    }
}

impl Receipt {
    /// Takes what has come to this consumer.
    pub(super) fn of(consumer: &Arc<ConsumerChannel>, delivery: lapin::message::Delivery) -> Self {
        let lapin::message::Delivery {
            delivery_tag: tag,
            exchange,
            routing_key,
            redelivered,
            properties,
            data,
            ..
        } = delivery;
        let original = Original {
            routing_key,
            properties,
            body: data.into(),
        };
        let redeliveries = Redeliveries::of(consumer, exchange.as_str(), redelivered, &original);
        consumer.track(tag);
        Self {
            consumer: Arc::clone(consumer),
            tag,
            original,
            redeliveries,
            settled: false,
        }
    }

    /// Returns how often each channel has rejected the message, even if the rest of it is malformed.
    fn rounds(&self) -> Rounds {
        wire::rejected_by(&self.original)
            .map(Rounds::read)
            .unwrap_or_default()
    }

    pub(super) fn consumer(&self) -> &Arc<ConsumerChannel> {
        &self.consumer
    }

    /// Returns how long the message is not due yet; `None` if it is due.
    pub(super) fn waits(&self) -> Option<Duration> {
        wire::still_waits(&self.original, SystemTime::now)
    }

    /// Returns whether a copy must record how often the message was delivered.
    pub(super) fn is_uncounted(&self) -> bool {
        self.redeliveries.is_unwritten
    }

    /// Returns the delivery that this receipt settles.
    pub(super) fn delivery(self) -> Delivery {
        let times = self.redeliveries.times;
        let delivery = match wire::message(&self.original) {
            Ok(message) => Delivery::new(message, Box::new(self)),
            Err(reason) => {
                let rounds = self.rounds();
                Delivery::malformed(reason, Box::new(self)).with_rounds(rounds)
            }
        };
        delivery.with_redeliveries(times)
    }

    /// Publishes a copy to the queue that records how often the message was delivered.
    pub(super) async fn copy_counted(&self) -> Result<(), PublishError> {
        if !self.consumer.is_live() {
            // The broker has the original again.
            return Err(PublishError::Closed);
        }
        if let Some(open) = self.consumer.connections.publishing.blocked() {
            // Consuming relieves the broker, so it must not wait until publishing is unblocked.
            let reason = open.blocked().unwrap_or_default();
            return Err(PublishError::Refused { reason });
        }
        let properties = wire::counted(&self.original, self.redeliveries.times);
        self.copy_to(self.consumer.channel.name.as_str(), &properties)
            .await
    }

    /// Returns the message without a count by the broker, if it must not count; or else as usual.
    fn give_back_uncounted(&mut self) {
        self.settled = true;
        let receipt = Self {
            consumer: Arc::clone(&self.consumer),
            tag: self.tag,
            original: self.original.clone(),
            redeliveries: Redeliveries {
                counts_releases: false,
                ..self.redeliveries
            },
            settled: false,
        };
        // A delivery that cannot be replaced is dropped here, and returns to its queue as usual.
        drop(count_by_copy(receipt));
    }

    pub(super) fn done(mut self) -> Result<(), SettleError> {
        self.settled = true;
        self.consumer.done(self.tag)
    }

    /// Returns an error if the broker no longer waits for the settlement.
    fn check(&self) -> Result<(), SettleError> {
        if self.consumer.is_live() {
            return Ok(());
        }
        Err(self.consumer.stale(self.tag))
    }

    async fn retry(&self, message: &Message, delay: Duration) -> Result<(), PublishError> {
        let mut properties = wire::for_retry(&self.original, message)?;
        if delay > self.longest_delay() {
            properties = wire::not_before(properties, SystemTime::now(), delay);
        }
        self.again(&properties, delay).await
    }

    /// Delays a message once more that arrived before it was due. It was not handled, and no attempt is counted.
    pub(super) async fn wait_on(self, left: Duration) -> Result<(), SettleError> {
        self.check()?;
        let copied = self.again(&wire::waiting_on(&self.original), left).await;
        self.moved(copied).await
    }

    /// Publishes the copy for the delay, or for the longest delay of one queue.
    async fn again(&self, properties: &BasicProperties, delay: Duration) -> Result<(), PublishError> {
        let delay = delay.min(self.longest_delay());
        let milliseconds = delay::milliseconds(delay);
        if milliseconds > 0 {
            if self.park(milliseconds, properties).await? {
                return Ok(());
            }
            self.wait(delay.min(LONGEST_IN_HAND)).await?;
        }
        self.copy_to(self.consumer.channel.name.as_str(), properties)
            .await
    }

    fn longest_delay(&self) -> Duration {
        self.consumer.connections.settings.longest_delay
    }

    /// Publishes the copy to the queue of its delay. Returns `false` if there is no such queue.
    async fn park(&self, milliseconds: u32, properties: &BasicProperties) -> Result<bool, PublishError> {
        let ConsumerChannel {
            connections,
            topology,
            ..
        } = &*self.consumer;
        let queue = topology.delay_of(milliseconds);
        // Two attempts, because the queue may have been deleted since it was declared.
        for _ in 0..2 {
            let waiting = connections
                .delays
                .queue(&connections.publishing, topology.declare, &queue);
            let DelayPlace::In(name) = waiting.await? else {
                return Ok(false);
            };
            match self.copy_to(&name, properties).await {
                Err(PublishError::Unroutable { .. }) => connections.delays.forget(&name),
                copied => return copied.map(|()| true),
            }
        }
        connections.delays.refused(&queue, "it does not exist");
        Ok(false)
    }

    /// Waits, unless the broker is closed meanwhile.
    async fn wait(&self, time: Duration) -> Result<(), PublishError> {
        tokio::select! {
            () = sleep(time) => Ok(()),
            () = self.consumer.connections.closing.cancelled() => Err(PublishError::Closed),
        }
    }

    /// Publishes a copy with the reason to the channel of the rejection. If the headers fill their frame, some are left
    /// out: the message must leave its queue.
    async fn set_aside(&self, rejection: &Rejection) -> Result<(), PublishError> {
        let aside = match rejection.kind {
            RejectionKind::Invalid => &self.consumer.channel.invalid_messages,
            _ => &self.consumer.channel.dead_letters,
        };
        let now = SystemTime::now();
        let whole = wire::set_aside(&self.original, rejection, now, usize::MAX);
        match self.copy_to(aside.as_str(), &whole).await {
            Err(PublishError::TooLarge { limit, .. }) if wire::header_bytes(&whole) > limit => {
                let fitting = wire::set_aside(&self.original, rejection, now, limit);
                self.copy_to(aside.as_str(), &fitting).await
            }
            copied => copied,
        }
    }

    /// Publishes directly to a queue: the default exchange routes by the queue's name, and to no other.
    async fn copy_to(&self, queue: &str, properties: &BasicProperties) -> Result<(), PublishError> {
        let copy = || {
            Ok(Outgoing {
                exchange: ShortString::default(),
                routing_key: wire::short("channel name", queue)?,
                properties: properties.clone(),
                body: self.original.body.clone(),
            })
        };
        self.consumer.connections.publisher.publish(copy).await
    }

    /// Settles the original once its copy is safe. If the copy failed, the original returns to its queue after a pause,
    /// because it would be delivered again at once and fail the same way.
    async fn moved(self, copied: Result<(), PublishError>) -> Result<(), SettleError> {
        if let Err(error) = copied {
            let _ = self.wait(BEFORE_GIVING_BACK).await;
            return Err(error.into());
        }
        self.done()
    }
}

impl Settle for Receipt {
    /// The broker takes a message back by closing the AMQP channel of its delivery. lapin tells only the stream of the
    /// consumer, so the state of the channel is polled.
    fn lost(&self) -> BoxFuture<'static, ()> {
        // It must not keep the channel open after the message is settled.
        let consumer = Arc::downgrade(&self.consumer);
        Box::pin(async move {
            while let Some(consumer) = consumer.upgrade() {
                if !consumer.is_live() {
                    return;
                }
                drop(consumer);
                sleep(LOOK).await;
            }
            std::future::pending().await
        })
    }

    fn ack(self: Box<Self>) -> BoxFuture<'static, Result<(), SettleError>> {
        Box::pin(async move { self.done() })
    }

    fn requeue(
        self: Box<Self>,
        message: Message,
        delay: Duration,
    ) -> BoxFuture<'static, Result<(), SettleError>> {
        Box::pin(async move {
            self.check()?;
            let mut copied = self.retry(&message, delay).await;
            if let Err(error @ PublishError::TooLarge { .. }) = &copied {
                // The copy would not fit the next time either.
                let reason = format!("it cannot be sent again: {error}");
                copied = self
                    .set_aside(&Rejection::new(RejectionKind::DeadLetter, reason))
                    .await;
            }
            self.moved(copied).await
        })
    }

    fn reject(self: Box<Self>, rejection: Rejection) -> BoxFuture<'static, Result<(), SettleError>> {
        Box::pin(async move {
            self.check()?;
            let copied = self.set_aside(&rejection).await;
            self.moved(copied).await
        })
    }

    fn move_to(
        self: Box<Self>,
        channel: ChannelName,
        message: Message,
    ) -> BoxFuture<'static, Result<(), SettleError>> {
        Box::pin(async move {
            self.check()?;
            let copied = match wire::for_another(&self.original, &message) {
                Ok(properties) => self.copy_to(channel.as_str(), &properties).await,
                Err(error) => Err(error.into()),
            };
            self.moved(copied).await
        })
    }

    fn postpone(self: Box<Self>, delay: Duration) -> BoxFuture<'static, Result<(), SettleError>> {
        Box::pin(self.wait_on(delay))
    }

    /// Dropping the receipt returns the message.
    fn release(self: Box<Self>) {}
}

/// Replaces the delivery by a copy that counts it, and sends the receipt back if that fails. The task completes even if
/// nobody waits: stopping halfway would leave the message twice.
pub(super) fn count_by_copy(receipt: Receipt) -> oneshot::Receiver<Receipt> {
    let (uncounted, counted) = oneshot::channel();
    let consumer = Arc::clone(receipt.consumer());
    let copying = consumer.copies();
    consumer.connections.io.spawn(async move {
        if let Err(receipt) = replace(receipt).await {
            // If nobody waits any more, the message returns to its queue.
            drop(uncounted.send(receipt));
        }
        drop(copying);
    });
    counted
}

/// Publishes a copy to the queue that records how often the message was delivered. Returns when the broker has read the
/// acknowledgement of the original.
async fn replace(receipt: Receipt) -> Result<(), Receipt> {
    if let Err(error) = receipt.copy_counted().await {
        let error = report(&error);
        tracing::debug!(
            error,
            "cannot publish the copy that records how often the message was delivered"
        );
        return Err(receipt);
    }
    let consumer = Arc::clone(receipt.consumer());
    // An error means that the connection is lost: then the message exists twice, as can happen with every copy.
    if receipt.done().is_ok() {
        let _ = timeout(ACKED_WITHIN, consumer.write_through()).await;
    }
    Ok(())
}
