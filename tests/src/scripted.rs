//! A broker whose consumers do as the test says: what a real one does only on its worst days.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brighter::channel::{
    Broker, Channel, ChannelError, Consumer, ConsumerBounds, Delivery, Producer, PublishError, Rejection,
    Settle, SettleError,
};
use brighter::prelude::*;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, pending, ready};
use futures_util::stream;

/// What the next call of `consume` does.
pub enum Consume {
    /// It never returns.
    Hangs,
    /// It panics.
    Panics,
    /// It gives a consumer that gives these, and then hangs, as an idle one does.
    Gives(Vec<Came>),
    /// It gives a consumer that gives these, and then ends.
    GivesAndEnds(Vec<Came>),
}

/// What a consumer gives.
pub enum Came {
    /// This message.
    Message(Message),
    /// This message, which the broker has delivered this often before.
    Again(Message, u32),
    /// Something that makes no sense.
    Nonsense(&'static str),
    /// The channel is lost.
    Lost,
}

/// How a delivery was settled.
#[derive(Debug, Clone, PartialEq)]
pub enum Settled {
    /// Acked.
    Ack,
    /// Comes again after this time, with this handled count.
    Requeue(Duration, u32),
    /// Set aside: for this reason.
    Reject(Rejection),
    /// Given back.
    Release,
}

/// How settling goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settling {
    /// Well.
    Well,
    /// Its connection is gone.
    Stale,
    /// It never ends.
    Hangs,
}

/// A broker that does as it is told. Clones are the same.
#[derive(Clone)]
pub struct Scripted(Arc<Script>);

struct Script {
    next: Mutex<VecDeque<Consume>>,
    bounds: ConsumerBounds,
    settling: Mutex<VecDeque<Settling>>,
    settled: Mutex<Vec<(MessageId, Settled)>>,
    consumed: AtomicUsize,
    buffers: Mutex<Vec<u16>>,
}

impl Scripted {
    /// A broker that does these, one for each call of `consume`; then its consumers give nothing.
    #[must_use]
    pub fn new(script: impl IntoIterator<Item = Consume>) -> Self {
        Self::bounded(script, ConsumerBounds::new())
    }

    /// The same, which asks this of consumers.
    #[must_use]
    pub fn bounded(script: impl IntoIterator<Item = Consume>, bounds: ConsumerBounds) -> Self {
        Self(Arc::new(Script {
            next: Mutex::new(script.into_iter().collect()),
            bounds,
            settling: Mutex::default(),
            settled: Mutex::default(),
            consumed: AtomicUsize::new(0),
            buffers: Mutex::default(),
        }))
    }

    /// The next settlings go like this, one each, and those after them well.
    pub fn settling(&self, settling: impl IntoIterator<Item = Settling>) {
        self.0.settling.lock().unwrap().extend(settling);
    }

    /// What was settled, in its order.
    pub fn settled(&self) -> Vec<(MessageId, Settled)> {
        self.0.settled.lock().unwrap().clone()
    }

    /// How often it was asked for a consumer.
    pub fn consumed(&self) -> usize {
        self.0.consumed.load(Ordering::Relaxed)
    }

    /// The buffer of each channel that was consumed.
    pub fn buffers(&self) -> Vec<u16> {
        self.0.buffers.lock().unwrap().clone()
    }

    fn deliver(&self, came: Came) -> Result<Delivery, ChannelError> {
        let receipt = |id: MessageId| {
            Box::new(Receipt {
                script: Arc::clone(&self.0),
                id,
            })
        };
        Ok(match came {
            Came::Message(message) => {
                let receipt = receipt(message.header.id.clone());
                Delivery::new(message, receipt)
            }
            Came::Again(message, times) => {
                let receipt = receipt(message.header.id.clone());
                Delivery::new(message, receipt).with_redeliveries(times)
            }
            Came::Nonsense(reason) => Delivery::malformed(reason, receipt("nonsense".into())),
            Came::Lost => {
                return Err(ChannelError::Disconnected("pulled the plug".into()));
            }
        })
    }
}

struct Receipt {
    script: Arc<Script>,
    id: MessageId,
}

impl Receipt {
    fn settle(self, settled: Settled) -> BoxFuture<'static, Result<(), SettleError>> {
        let settling = self.script.settling.lock().unwrap().pop_front();
        match settling.unwrap_or(Settling::Well) {
            Settling::Well => {
                self.script.settled.lock().unwrap().push((self.id, settled));
                Box::pin(ready(Ok(())))
            }
            Settling::Stale => Box::pin(ready(Err(SettleError::Stale))),
            Settling::Hangs => Box::pin(pending()),
        }
    }
}

impl Settle for Receipt {
    fn ack(self: Box<Self>) -> BoxFuture<'static, Result<(), SettleError>> {
        self.settle(Settled::Ack)
    }

    fn requeue(
        self: Box<Self>,
        message: Message,
        delay: Duration,
    ) -> BoxFuture<'static, Result<(), SettleError>> {
        self.settle(Settled::Requeue(delay, message.header.handled_count))
    }

    fn reject(self: Box<Self>, rejection: Rejection) -> BoxFuture<'static, Result<(), SettleError>> {
        self.settle(Settled::Reject(rejection))
    }

    fn release(self: Box<Self>) {
        drop(self.settle(Settled::Release));
    }
}

impl Producer for Scripted {
    fn publish<'a>(&'a self, _: &'a Message) -> BoxFuture<'a, Result<(), PublishError>> {
        Box::pin(ready(Err(PublishError::Closed)))
    }
}

impl Broker for Scripted {
    fn system(&self) -> &'static str {
        "scripted"
    }

    fn consume<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Consumer, ChannelError>> {
        self.0.consumed.fetch_add(1, Ordering::Relaxed);
        self.0.buffers.lock().unwrap().push(channel.buffer.get());
        let next = self.0.next.lock().unwrap().pop_front();
        let (gives, ends) = match next {
            Some(Consume::Hangs) => return Box::pin(pending()),
            Some(Consume::Panics) => panic!("the transport lost its head"),
            Some(Consume::Gives(gives)) => (gives, false),
            Some(Consume::GivesAndEnds(gives)) => (gives, true),
            None => (Vec::new(), false),
        };
        let broker = self.clone();
        let gives = stream::iter(gives).map(move |came| broker.deliver(came));
        Box::pin(ready(Ok(if ends {
            Consumer::new(gives)
        } else {
            Consumer::new(gives.chain(stream::pending()))
        })))
    }

    fn bounds(&self, _: &Channel) -> ConsumerBounds {
        self.0.bounds
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }
}
