//! An application whose handler does as it is told, for faults that are done to a dispatcher.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brighter::channel::{Broker, Producer};
use brighter::dispatcher::PerformerState;
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::prelude::*;
use tokio::sync::watch;

use crate::ledger::{Entry, Ledger};
use crate::wait::until_answer;

/// Something to do.
#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Deed")]
pub struct Deed {
    /// Which.
    pub id: MessageId,
    /// What the handler is to do.
    pub what: What,
}

/// What a handler is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// Note it in the ledger.
    Note,
    /// Wait until the gate is open, then note it.
    Wait,
    /// Fail so many times, then note it.
    Fail(u32),
    /// Panic.
    Panic,
    /// Keep the thread so many milliseconds, then note it.
    Block(u64),
    /// Take so many milliseconds, then note it.
    Sleep(u64),
    /// End the process, where it has one of its own.
    Die,
}

impl Deed {
    /// A new one.
    #[must_use]
    pub fn new(what: What) -> Self {
        Self {
            id: MessageId::new(),
            what,
        }
    }

    /// The message that carries it.
    ///
    /// # Panics
    /// It cannot be written.
    #[must_use]
    pub fn message(&self, topic: &str) -> brighter::Message {
        let body = serde_json::to_vec(self).expect("a deed can be written");
        let header = MessageHeader::new(self.id.clone(), topic, MessageType::Command)
            .with_content_type("application/json");
        brighter::Message::new(header, MessageBody::new(body))
    }
}

/// Does deeds.
#[derive(Clone)]
pub struct Doer {
    ledger: Ledger,
    gate: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
    handled: Arc<Mutex<HashSet<String>>>,
}

impl Doer {
    /// One whose gate is shut.
    #[must_use]
    pub fn new(ledger: &Ledger) -> Self {
        Self {
            ledger: ledger.clone(),
            gate: watch::Sender::new(false),
            waiting: watch::Sender::new(0),
            handled: Arc::default(),
        }
    }

    /// How many different deeds it has done.
    ///
    /// # Panics
    /// It has panicked while it noted one.
    #[must_use]
    pub fn handled(&self) -> usize {
        self.handled.lock().unwrap().len()
    }

    /// Whether it has done this one.
    ///
    /// # Panics
    /// It has panicked while it noted one.
    #[must_use]
    pub fn has_handled(&self, id: &str) -> bool {
        self.handled.lock().unwrap().contains(id)
    }

    /// Opens the gate or shuts it.
    pub fn open_gate(&self, open: bool) {
        self.gate.send_replace(open);
    }

    /// How many wait at the gate.
    #[must_use]
    pub fn waiting(&self) -> usize {
        *self.waiting.borrow()
    }

    async fn wait(&self) {
        self.waiting.send_modify(|waiting| *waiting += 1);
        let _waits = Waits(&self.waiting);
        let _ = self.gate.subscribe().wait_for(|open| *open).await;
    }
}

struct Waits<'d>(&'d watch::Sender<usize>);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

#[handler]
impl Handler<Deed> for Doer {
    async fn handle(&self, deed: &Deed, cx: &Context) -> Result<(), BoxError> {
        match deed.what {
            What::Note => {}
            What::Wait => self.wait().await,
            What::Fail(times) if cx.attempt() <= times => return Err("told to fail".into()),
            What::Fail(_) => {}
            What::Panic | What::Die => panic!("told to panic"),
            // This is the fault that is injected.
            What::Block(milliseconds) => std::thread::sleep(Duration::from_millis(milliseconds)),
            What::Sleep(milliseconds) => tokio::time::sleep(Duration::from_millis(milliseconds)).await,
        }
        let id = deed.id.to_string();
        self.ledger.write(Entry::Handled, &id);
        self.handled.lock().unwrap().insert(id);
        Ok(())
    }
}

/// A processor with a dispatcher, started.
pub struct App {
    /// The handler.
    pub doer: Doer,
    /// The dispatcher.
    pub dispatcher: Dispatcher,
}

impl App {
    /// Starts an application on this broker with these subscriptions, and does not wait until it consumes.
    ///
    /// # Panics
    /// It is put together wrongly.
    pub fn start(
        broker: impl Broker,
        ledger: &Ledger,
        subscriptions: impl IntoIterator<Item = Subscription<Deed>>,
    ) -> Self {
        let doer = Doer::new(ledger);
        let processor = CommandProcessor::builder()
            .handler(doer.clone())
            .broker(broker)
            .outbox(InMemoryOutbox::new())
            .build()
            .expect("the processor is put together well");
        let mut builder = Dispatcher::builder(processor).drain_timeout(Duration::from_secs(5));
        for subscription in subscriptions {
            builder = builder.subscription(subscription);
        }
        let dispatcher = builder.build().expect("the dispatcher is put together well");
        dispatcher.receive();
        Self { doer, dispatcher }
    }

    /// Waits until every performer consumes.
    ///
    /// # Panics
    /// That does not happen.
    pub async fn wait_until_consuming(&self) {
        crate::wait::in_time(
            "every performer to consume",
            self.dispatcher.wait_until_consuming(),
        )
        .await;
    }

    /// Whether every performer of every subscription consumes: whether the application is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.dispatcher.status().iter().all(|subscription| {
            !subscription.performers.is_empty()
                && subscription
                    .performers
                    .iter()
                    .all(|performer| performer.state == PerformerState::Consuming)
        })
    }

    /// Waits until the application is not ready.
    ///
    /// # Panics
    /// It stays so.
    pub async fn not_ready(&self) {
        until_answer("ready", false, async || self.is_ready()).await;
    }

    /// Ends the dispatcher, then closes the broker.
    pub async fn end(self) {
        self.doer.open_gate(true);
        self.dispatcher.end().await;
        self.dispatcher.processor().close().await;
    }
}

/// Publishes deeds, noted in the ledger. See [`Traffic`](crate::traffic::Traffic).
pub async fn order<B: Producer + Clone>(
    traffic: &crate::traffic::Traffic<B>,
    topic: &str,
    deeds: impl IntoIterator<Item = What>,
) -> Vec<String> {
    let mut ids = Vec::new();
    for what in deeds {
        let deed = Deed::new(what);
        traffic.publish(&deed.message(topic)).await;
        ids.push(deed.id.to_string());
    }
    ids
}
