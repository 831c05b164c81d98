//! The pump: how it takes, orders, limits and watches what it handles, and that nothing stops it.

mod behaviours;
mod concurrency;
mod half_open;
mod limits;
mod one_of;
mod order;
mod sharing;
mod stalling;
mod suspects;
mod suspects_model;
mod watching;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brighter::channel::Broker;
use brighter::dispatcher::Requests;
use brighter::message::{MessageBody, MessageType};
use brighter::prelude::*;
use tokio::sync::Semaphore;

const SECOND: Duration = Duration::from_secs(1);

/// What the tests of the pump send.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Note", kind = "event")]
struct Note {
    key: u32,
    number: u32,
}

fn note(key: u32, number: u32) -> Note {
    Note { key, number }
}

/// The message of a note, as a producer would have made it.
fn message(note: &Note) -> Message {
    let header = MessageHeader::new(MessageId::new(), "Note", MessageType::Event);
    Message::new(header, MessageBody::new(serde_json::to_vec(note).unwrap()))
}

/// Decides what a handler does with a note: the note, and which attempt it is.
type Decide = Arc<dyn Fn(&Note, u32) -> Result<(), BoxError> + Send + Sync>;

/// Notes what it is asked and when it is done; goes on when it is let, and does as it is told.
#[derive(Clone)]
struct Clerk {
    asked: Arc<Mutex<Vec<(u32, u32)>>>,
    done: Arc<Mutex<Vec<(u32, u32)>>>,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
    decide: Decide,
}

impl Clerk {
    /// One that lets everything through.
    fn new(decide: impl Fn(&Note, u32) -> Result<(), BoxError> + Send + Sync + 'static) -> Self {
        let clerk = Self::gated(decide);
        clerk.open();
        clerk
    }

    /// One that waits to be let go on, once for each.
    fn gated(decide: impl Fn(&Note, u32) -> Result<(), BoxError> + Send + Sync + 'static) -> Self {
        Self {
            asked: Arc::default(),
            done: Arc::default(),
            now: Arc::default(),
            most: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
            decide: Arc::new(decide),
        }
    }

    fn open(&self) {
        self.gate.add_permits(1_000_000);
    }

    fn let_go(&self, some: usize) {
        self.gate.add_permits(some);
    }

    fn asked(&self) -> Vec<(u32, u32)> {
        self.asked.lock().unwrap().clone()
    }

    fn done(&self) -> Vec<(u32, u32)> {
        self.done.lock().unwrap().clone()
    }

    /// How many are being handled.
    fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    /// How many were handled at once at most.
    fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

/// One more is being handled.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[handler]
impl Handler<Note> for Clerk {
    async fn handle(&self, note: &Note, cx: &Context) -> Result<(), BoxError> {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        let _counted = Counted(Arc::clone(&self.now));
        self.most.fetch_max(now, Ordering::Relaxed);
        self.asked.lock().unwrap().push((note.key, note.number));
        self.gate.acquire().await?.forget();
        (self.decide)(note, cx.attempt())?;
        self.done.lock().unwrap().push((note.key, note.number));
        Ok(())
    }
}

/// A dispatcher of one subscription on this broker, receiving.
fn receiving<H, R>(broker: impl Broker, handler: H, subscription: Subscription<R>) -> Dispatcher
where
    H: brighter::pipeline::HandlerPipeline<Note>,
    R: Requests,
{
    let processor = CommandProcessor::builder()
        .broker(broker)
        .outbox(InMemoryOutbox::new())
        .handler(handler)
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor)
        .subscription(subscription)
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher
}

/// The same, on an in-memory broker, once it consumes.
async fn consuming(broker: &InMemoryBroker, clerk: &Clerk, subscription: Subscription<Note>) -> Dispatcher {
    let dispatcher = receiving(broker.clone(), clerk.clone(), subscription);
    dispatcher.wait_until_consuming().await;
    dispatcher
}

fn notes() -> Subscription<Note> {
    Subscription::new("notes")
}

async fn post(dispatcher: &Dispatcher, notes: impl IntoIterator<Item = Note>) {
    for note in notes {
        dispatcher.processor().post(note).await.unwrap();
    }
}
