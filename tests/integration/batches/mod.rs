//! Batches: one call for several messages, an outcome for each.

mod app;
mod brokers;
mod building;
mod ending;
mod gathering;
mod outcomes;
mod property;
mod steps;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use brighter::prelude::*;
use tokio::sync::Semaphore;

const SECOND: Duration = Duration::from_secs(1);

/// What the tests of batches send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(topic = "Row", kind = "event")]
struct Row {
    key: u32,
    number: u32,
}

fn row(number: u32) -> Row {
    Row { key: number, number }
}

fn rows(count: u32) -> impl Iterator<Item = Row> {
    (0..count).map(row)
}

/// Decides what a handler does with a batch.
type Decide = Arc<dyn Fn(&Batch<'_, Row>) -> Result<(), BoxError> + Send + Sync>;

/// Records its calls, waits to be let go on, and does as it is told.
#[derive(Clone)]
struct Store {
    calls: Arc<Mutex<Vec<Vec<u32>>>>,
    gate: Arc<Semaphore>,
    decide: Decide,
}

impl Store {
    fn new(decide: impl Fn(&Batch<'_, Row>) -> Result<(), BoxError> + Send + Sync + 'static) -> Self {
        let store = Self::gated(decide);
        store.gate.add_permits(1_000_000);
        store
    }

    /// One whose calls wait until they are let go on, one by one.
    fn gated(decide: impl Fn(&Batch<'_, Row>) -> Result<(), BoxError> + Send + Sync + 'static) -> Self {
        Self {
            calls: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
            decide: Arc::new(decide),
        }
    }

    fn calls(&self) -> Vec<Vec<u32>> {
        self.calls.lock().unwrap().clone()
    }

    fn sizes(&self) -> Vec<usize> {
        self.calls().iter().map(Vec::len).collect()
    }

    async fn call(&self, batch: Batch<'_, Row>) -> Result<(), BoxError> {
        let numbers = batch.iter().map(|row| row.number).collect();
        self.calls.lock().unwrap().push(numbers);
        self.gate.acquire().await?.forget();
        (self.decide)(&batch)
    }
}

#[handler(batch(max = 10, within = "50ms"))]
impl Handler<Row> for Store {
    async fn handle(&self, batch: Batch<'_, Row>) -> Result<(), BoxError> {
        self.call(batch).await
    }
}

fn table() -> Subscription<Row> {
    Subscription::new("rows").concurrency(10).buffer(50)
}

fn processor(broker: impl brighter::channel::Broker, store: Store) -> CommandProcessor {
    CommandProcessor::builder()
        .handler(store)
        .broker(broker)
        .outbox(InMemoryOutbox::new())
        .build()
        .unwrap()
}

/// A dispatcher that consumes.
async fn consuming(
    broker: impl brighter::channel::Broker,
    store: &Store,
    subscription: Subscription<Row>,
) -> Dispatcher {
    let dispatcher = Dispatcher::builder(processor(broker, store.clone()))
        .subscription(subscription)
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    dispatcher
}

async fn post(dispatcher: &Dispatcher, rows: impl IntoIterator<Item = Row>) {
    for row in rows {
        dispatcher.processor().post(row).await.unwrap();
    }
}
