//! What is idle does nothing: counted, not timed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as Task, Poll};
use std::time::Duration;

use brighter::channel::{Broker, Channel, ChannelError, Consumer, Delivery, Producer, PublishError};
use brighter::prelude::*;
use brighter_tests::rabbitmq::Corner;
use brighter_tests::wait::deadline;
use futures_util::Stream;
use futures_util::future::BoxFuture;

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "Idle")]
struct Idle;

struct Idles;

#[handler]
impl Handler<Idle> for Idles {
    async fn handle(&self, _: &Idle) -> Result<(), std::convert::Infallible> {
        Ok(())
    }
}

/// A broker that counts how often its consumers are asked, which is once for each time their task runs.
#[derive(Clone)]
struct Counted<B> {
    inner: B,
    looks: Arc<AtomicUsize>,
}

struct Looks {
    inner: Consumer,
    looks: Arc<AtomicUsize>,
}

impl Stream for Looks {
    type Item = Result<Delivery, ChannelError>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.inner).poll_next(task)
    }
}

impl<B: Broker> Producer for Counted<B> {
    fn publish<'a>(&'a self, message: &'a brighter::Message) -> BoxFuture<'a, Result<(), PublishError>> {
        self.inner.publish(message)
    }
}

impl<B: Broker> Broker for Counted<B> {
    fn system(&self) -> &'static str {
        self.inner.system()
    }

    fn consume<'a>(&'a self, channel: &'a Channel) -> BoxFuture<'a, Result<Consumer, ChannelError>> {
        Box::pin(async {
            let inner = self.inner.consume(channel).await?;
            Ok(Consumer::new(Looks {
                inner,
                looks: Arc::clone(&self.looks),
            }))
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.close()
    }
}

/// A dispatcher with so many subscriptions, consuming, and how often they looked.
async fn idling<B: Broker + Clone>(
    broker: B,
    subscriptions: impl IntoIterator<Item = Subscription<Idle>>,
) -> (Dispatcher, Arc<AtomicUsize>) {
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = Counted {
        inner: broker,
        looks: Arc::clone(&looks),
    };
    let processor = CommandProcessor::builder()
        .handler(Idles)
        .broker(counted)
        .build()
        .unwrap();
    let builder = Dispatcher::builder(processor);
    let dispatcher = subscriptions
        .into_iter()
        .fold(builder, |builder, subscription| {
            builder.subscription(subscription)
        })
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    (dispatcher, looks)
}

#[tokio::test(start_paused = true)]
async fn a_thousand_idle_subscriptions_never_look_by_themselves() {
    let subscriptions = (0..1_000).map(|number| Subscription::new(format!("idle-{number}")));
    let (dispatcher, looks) = idling(InMemoryBroker::new(), subscriptions).await;
    // The clock moves only when nothing can run: by then every performer has looked for the first time.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = looks.load(Ordering::Relaxed);
    assert!(before >= 1_000, "{before}");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(looks.load(Ordering::Relaxed), before, "in an hour");
    dispatcher.end().await;
}

#[tokio::test]
async fn a_hundred_idle_subscriptions_on_rabbitmq_never_look_by_themselves() {
    let corner = Corner::new();
    let subscriptions: Vec<_> = (0..100)
        .map(|number| {
            let channel = corner.channel(&format!("idle-{number}"), "Idle");
            Subscription::new(channel.name.as_str())
        })
        .collect();
    let (dispatcher, looks) = idling(corner.connect().await, subscriptions).await;
    // The last answers of the broker may still wake one; after that nothing does. A polling test would never pass.
    let idle = async {
        loop {
            let before = looks.load(Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(2)).await;
            if before >= 100 && looks.load(Ordering::Relaxed) == before {
                return;
            }
        }
    };
    assert!(
        tokio::time::timeout(deadline(), idle).await.is_ok(),
        "they go on looking"
    );
    dispatcher.end().await;
}
