//! A broker whose `consume` must not be dropped half way, as one of somebody else may be.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brighter::channel::{Broker, Channel, ChannelError, Consumer, ConsumerBounds, Producer, PublishError};
use brighter::message::ChannelName;
use brighter::prelude::*;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

/// A broker in front of another one. It takes its time to give a consumer, and keeps forever one for which nobody waits
/// any more.
pub(super) struct Careless<B> {
    inner: Arc<B>,
    slow: Duration,
    consumers: Arc<AtomicUsize>,
}

impl<B> Clone for Careless<B> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            slow: self.slow,
            consumers: Arc::clone(&self.consumers),
        }
    }
}

impl<B: Broker> Careless<B> {
    pub(super) fn new(inner: B, slow: Duration) -> Self {
        Self {
            inner: Arc::new(inner),
            slow,
            consumers: Arc::default(),
        }
    }

    /// How many consumers it has.
    pub(super) fn consumers(&self) -> usize {
        self.consumers.load(Ordering::SeqCst)
    }
}

struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<B: Broker> Producer for Careless<B> {
    fn publish<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), PublishError>> {
        self.inner.publish(message)
    }
}

impl<B: Broker> Broker for Careless<B> {
    fn system(&self) -> &'static str {
        self.inner.system()
    }

    fn consume<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Consumer, ChannelError>> {
        let (answer, answered) = oneshot::channel();
        let (broker, channel) = (self.clone(), channel.clone());
        tokio::spawn(async move {
            let consumer = broker.inner.consume(&channel).await.map(|consumer| {
                let counted = Counted::new(&broker.consumers);
                consumer.around(|inner| {
                    inner.map(move |came| {
                        let _counted = &counted;
                        came
                    })
                })
            });
            tokio::time::sleep(broker.slow).await;
            if let Err(forgotten) = answer.send(consumer) {
                std::mem::forget(forgotten);
            }
        });
        Box::pin(async move { answered.await.unwrap_or(Err(ChannelError::Closed)) })
    }

    fn declare<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<(), ChannelError>> {
        self.inner.declare(channel)
    }

    fn remove<'a>(&'a self, channel: &'a ChannelName) -> BoxFuture<'a, Result<(), ChannelError>> {
        self.inner.remove(channel)
    }

    fn depth<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Option<u64>, ChannelError>> {
        self.inner.depth(channel)
    }

    fn bounds(&self, channel: &Channel) -> ConsumerBounds {
        self.inner.bounds(channel)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}
