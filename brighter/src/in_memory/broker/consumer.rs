//! A consumer of the in-memory broker.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use futures_util::Stream;
use futures_util::task::AtomicWaker;

use super::Shared;
use super::queue::{Found, Queue};
use super::settle::Receipt;
use super::topology::Opened;
use super::waiters::Ticket;
use brighter_core::channel::{Channel, ChannelError, Delivery};

/// How many deliveries a consumer has that are not settled.
#[derive(Debug)]
pub(super) struct Loans {
    count: AtomicUsize,
    most: usize,
    /// The task that waits for one to be settled.
    full: AtomicWaker,
}

impl Loans {
    /// Whether there may be no more. The task is woken when there may.
    fn are_full(&self, waker: &Waker) -> bool {
        if self.count.load(Ordering::Acquire) < self.most {
            return false;
        }
        self.full.register(waker);
        // One that was settled before the task was noted woke nobody.
        self.count.load(Ordering::Acquire) >= self.most
    }

    /// One is settled.
    fn end(&self) {
        if self.count.fetch_sub(1, Ordering::AcqRel) >= self.most {
            self.full.wake();
        }
    }

    pub(super) fn wake(&self) {
        self.full.wake();
    }
}

/// What a consumer and its deliveries have in common.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) queue: Arc<Queue>,
    pub(super) broker: Arc<Shared>,
    /// What its deliveries name, for the error when there is no such channel.
    pub(super) channel: Channel,
    loans: Arc<Loans>,
}

impl Common {
    /// A delivery is settled.
    pub(super) fn settled(&self) {
        self.loans.end();
    }
}

/// The deliveries of one consumer.
pub(super) struct Deliveries {
    common: Arc<Common>,
    number: u64,
    /// Where this consumer waits in the queue, once it has.
    ticket: Option<Ticket>,
}

impl Deliveries {
    pub(super) fn new(broker: Arc<Shared>, opened: Opened, channel: &Channel) -> Self {
        let loans = Arc::new(Loans {
            count: AtomicUsize::new(0),
            most: usize::from(channel.buffer.get()),
            full: AtomicWaker::new(),
        });
        opened.queue.joined(opened.consumer, Arc::clone(&loans));
        Self {
            common: Arc::new(Common {
                queue: opened.queue,
                broker,
                channel: channel.clone(),
                loans,
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
        if self.common.loans.are_full(waker) {
            return if self.common.queue.is_closed() {
                Poll::Ready(None)
            } else {
                Poll::Pending
            };
        }
        match self.common.queue.take(self.number, self.ticket, waker) {
            Found::Closed => Poll::Ready(None),
            Found::Nothing(ticket) => {
                self.ticket = Some(ticket);
                Poll::Pending
            }
            Found::Item(item) => {
                self.ticket = None;
                self.common.loans.count.fetch_add(1, Ordering::AcqRel);
                let (message, redeliveries) = (Arc::clone(&item.message), item.redeliveries);
                let receipt = Receipt::new(Arc::clone(&self.common), item);
                let delivery = Delivery::new(message, Box::new(receipt)).with_redeliveries(redeliveries);
                Poll::Ready(Some(Ok(delivery)))
            }
        }
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        self.common.queue.left(self.number, self.ticket);
        if self.common.channel.stays_unused.is_some() {
            self.common.broker.write().leave(&self.common.queue);
        }
    }
}
