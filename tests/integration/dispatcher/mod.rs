//! The dispatcher: what runs, how it is steered while it runs, and whether what it says of itself is true.

mod careless;
mod control;
mod declaring;
mod running;
mod steering;
mod supervision;
mod telling;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brighter::dispatcher::{DispatcherBuilder, SubscriptionStatus};
use brighter::prelude::*;
use brighter::testing::FaultyBroker;
use tokio::sync::Semaphore;

/// A task whose handling the test ends.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Chore")]
struct Chore {
    id: MessageId,
}

/// Another kind of request.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Rest", kind = "event")]
struct Rest;

/// Handles both, each once it is allowed to.
#[derive(Clone)]
struct Hand {
    begun: Arc<AtomicUsize>,
    done: Arc<Mutex<Vec<MessageId>>>,
    allowed: Arc<Semaphore>,
}

impl Hand {
    /// A hand that is allowed this many.
    fn allowed(messages: usize) -> Self {
        Self {
            begun: Arc::default(),
            done: Arc::default(),
            allowed: Arc::new(Semaphore::new(messages)),
        }
    }

    fn free() -> Self {
        Self::allowed(Semaphore::MAX_PERMITS)
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    fn done(&self) -> usize {
        self.done.lock().unwrap().len()
    }

    async fn work(&self, id: MessageId) -> Result<(), BoxError> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.allowed.acquire().await?.forget();
        self.done.lock().unwrap().push(id);
        Ok(())
    }
}

#[handler]
impl Handler<Chore> for Hand {
    async fn handle(&self, chore: &Chore) -> Result<(), BoxError> {
        self.work(chore.id.clone()).await
    }
}

#[handler]
impl Handler<Rest> for Hand {
    async fn handle(&self, _: &Rest, cx: &Context) -> Result<(), BoxError> {
        self.work(cx.message_id().ok_or("no id")?.clone()).await
    }
}

const DRAIN: Duration = Duration::from_secs(5);

/// A dispatcher that is not receiving yet, of a hand that handles both.
struct App {
    broker: FaultyBroker,
    hand: Hand,
    dispatcher: Dispatcher,
}

impl App {
    fn new(hand: Hand, subscriptions: impl IntoIterator<Item = Subscription<Chore>>) -> Self {
        Self::built(hand, subscriptions, |builder| builder)
    }

    /// The same, with what the test adds to its builder.
    fn built(
        hand: Hand,
        subscriptions: impl IntoIterator<Item = Subscription<Chore>>,
        more: impl FnOnce(DispatcherBuilder) -> DispatcherBuilder,
    ) -> Self {
        Self::on(
            FaultyBroker::new(InMemoryBroker::new()),
            hand,
            subscriptions,
            more,
        )
    }

    /// The same, on this broker.
    fn on(
        broker: FaultyBroker,
        hand: Hand,
        subscriptions: impl IntoIterator<Item = Subscription<Chore>>,
        more: impl FnOnce(DispatcherBuilder) -> DispatcherBuilder,
    ) -> Self {
        let processor = CommandProcessor::builder()
            .handler::<Chore>(hand.clone())
            .handler::<Rest>(hand.clone())
            .broker(broker.clone())
            .outbox(InMemoryOutbox::new())
            .build()
            .unwrap();
        let builder = more(Dispatcher::builder(processor).drain_timeout(DRAIN));
        let dispatcher = subscriptions
            .into_iter()
            .fold(builder, |builder, subscription| {
                builder.subscription(subscription)
            })
            .build()
            .unwrap();
        Self {
            broker,
            hand,
            dispatcher,
        }
    }

    /// The same, receiving.
    async fn receiving(hand: Hand, subscriptions: impl IntoIterator<Item = Subscription<Chore>>) -> Self {
        let app = Self::new(hand, subscriptions);
        app.dispatcher.receive();
        app.dispatcher.wait_until_consuming().await;
        app
    }

    async fn post(&self, messages: usize) {
        for _ in 0..messages {
            let chore = Chore { id: MessageId::new() };
            self.dispatcher.processor().post(chore).await.unwrap();
        }
    }

    fn waiting(&self, channel: &str) -> usize {
        self.broker.inner().messages(channel).len()
    }

    fn status(&self, name: &str) -> SubscriptionStatus {
        let mut all = self.dispatcher.status().into_iter();
        all.find(|status| status.name == name).unwrap()
    }

    /// Waits, by the dispatcher's own word, until the status of a subscription is as it should be.
    async fn until(&self, name: &str, mut holds: impl FnMut(&SubscriptionStatus) -> bool) {
        let mut changes = self.dispatcher.changes();
        let waited = tokio::time::timeout(brighter_tests::wait::deadline(), async {
            while !holds(&self.status(name)) {
                changes.changed().await;
            }
        });
        assert!(waited.await.is_ok(), "{:?}", self.status(name));
    }
}

fn chores() -> Subscription<Chore> {
    Subscription::new("chores")
}
