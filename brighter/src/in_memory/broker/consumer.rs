//! A consumer of the in-memory broker.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;

use super::in_flight::InFlightCount;
use super::queue::TakeResult;
use super::settle::{DeliverySource, Receipt};
use super::shared::Shared;
use super::topology::Opened;
use super::waiters::WaiterTicket;
use brighter_core::channel::{Channel, ChannelError, Delivery};

/// The deliveries of one consumer.
pub(super) struct Deliveries {
    source: Arc<DeliverySource>,
    number: u64,
    /// Where this consumer waits in the queue, once it has.
    ticket: Option<WaiterTicket>,
}

impl Deliveries {
    pub(super) fn new(broker: Arc<Shared>, opened: Opened, channel: &Channel) -> Self {
        let in_flight = Arc::new(InFlightCount::new(usize::from(channel.buffer.get())));
        opened.queue.joined(opened.consumer, Arc::clone(&in_flight));
        Self {
            source: Arc::new(DeliverySource {
                queue: opened.queue,
                broker,
                channel: channel.clone(),
                in_flight,
            }),
            number: opened.consumer,
            ticket: None,
        }
    }
}

impl Stream for Deliveries {
    type Item = Result<Delivery, ChannelError>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let waker = task.waker();
        if self.source.in_flight.is_full(waker) {
            return if self.source.queue.is_closed() {
                Poll::Ready(None)
            } else {
                Poll::Pending
            };
        }
        match self.source.queue.take(self.number, self.ticket, waker) {
            TakeResult::Closed => Poll::Ready(None),
            TakeResult::Nothing(ticket) => {
                self.ticket = Some(ticket);
                Poll::Pending
            }
            TakeResult::Item(item) => {
                self.ticket = None;
                self.source.in_flight.add();
                let (message, redeliveries) = (Arc::clone(&item.message), item.redeliveries);
                let receipt = Receipt::new(Arc::clone(&self.source), item);
                let delivery = Delivery::new(message, Box::new(receipt)).with_redeliveries(redeliveries);
                Poll::Ready(Some(Ok(delivery)))
            }
        }
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        self.source.queue.left(self.number, self.ticket);
        if self.source.channel.idle_timeout.is_some() {
            self.source.broker.write().leave(&self.source.queue);
        }
    }
}
