//! Puts a [`TestApp`] together.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::journal::Journal;
use super::{TestApp, World};
use crate::dispatcher::{Dispatcher, DispatcherBuilder};
use crate::in_memory::broker::InMemoryBroker;
use crate::in_memory::outbox::InMemoryOutbox;
use crate::processor::{CommandProcessor, CommandProcessorBuilder};
use crate::subscription::Subscription;
use crate::testing::FaultyBroker;
use brighter_core::channel::Producer;
use brighter_core::mapper::Postable;
use brighter_core::message::Message;
use brighter_core::outbox::Outbox;

type Processor = Box<dyn FnOnce(CommandProcessorBuilder) -> CommandProcessorBuilder>;
type Subscriptions = Box<dyn FnOnce(DispatcherBuilder) -> DispatcherBuilder>;
/// A request that waits for its processor, which knows its message.
type Waiting = Box<dyn FnOnce(&CommandProcessor) -> Message>;

/// Longer than any subscription waits before a message comes again.
const DEFAULT_SETTLE_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Puts a [`TestApp`] together.
#[must_use = "nothing is made until `start` is called"]
pub struct TestAppBuilder {
    processor: Vec<Processor>,
    dispatcher: Vec<Subscriptions>,
    broker: FaultyBroker,
    outbox: InMemoryOutbox,
    /// Of a world in which others have lived before.
    journal: Option<Arc<Journal>>,
    waiting: Vec<Waiting>,
    deposited: Vec<Waiting>,
    settle_timeout: Duration,
}

impl TestApp {
    /// Begins to describe an application.
    pub fn builder() -> TestAppBuilder {
        TestAppBuilder::new()
    }
}

impl TestAppBuilder {
    fn new() -> Self {
        Self {
            processor: Vec::new(),
            dispatcher: Vec::new(),
            broker: FaultyBroker::new(InMemoryBroker::new()),
            outbox: InMemoryOutbox::new(),
            journal: None,
            waiting: Vec::new(),
            deposited: Vec::new(),
            settle_timeout: DEFAULT_SETTLE_TIMEOUT,
        }
    }

    /// Adds handlers, policies, publications, an inbox: whatever the application's own processor has, but its
    /// broker and its outbox, which are the kit's.
    pub fn processor(
        mut self,
        describe: impl FnOnce(CommandProcessorBuilder) -> CommandProcessorBuilder + 'static,
    ) -> Self {
        self.processor.push(Box::new(describe));
        self
    }

    /// Adds subscriptions, and whatever else the application's own dispatcher has.
    pub fn dispatcher(
        mut self,
        describe: impl FnOnce(DispatcherBuilder) -> DispatcherBuilder + 'static,
    ) -> Self {
        self.dispatcher.push(Box::new(describe));
        self
    }

    /// Lives in this world, in which others may have lived before.
    pub(in crate::testing) fn in_world(mut self, world: &World) -> Self {
        self.broker = world.broker.clone();
        self.outbox = world.outbox.clone();
        self.journal = Some(Arc::clone(&world.journal));
        self
    }

    /// Uses this broker, which the test keeps a clone of to have it fail. One broker is for one application.
    pub fn broker(mut self, broker: FaultyBroker) -> Self {
        self.broker = broker;
        self
    }

    /// Uses this outbox, which the handlers have a clone of for their transactions.
    pub fn outbox(mut self, outbox: InMemoryOutbox) -> Self {
        self.outbox = outbox;
        self
    }

    /// Has this request wait in the channel of its subscription before anybody consumes.
    ///
    /// # Panics
    /// The subscription has a channel that the broker does not make.
    pub fn waiting<R: Postable>(mut self, subscription: &Subscription<R>, request: R) -> Self {
        let channel = subscription.settings().channel.clone();
        self.broker.inner().declare_now(&channel).unwrap_or_else(|error| {
            panic!(
                "the channel of a subscription: {}",
                brighter_core::__private::report(&error)
            )
        });
        self.waiting
            .push(Box::new(move |processor| message_of(processor, &request)));
        self
    }

    /// Has this request lie in the outbox, as if the process had died before it was sent.
    pub fn deposited<R: Postable>(mut self, request: R) -> Self {
        self.deposited
            .push(Box::new(move |processor| message_of(processor, &request)));
        self
    }

    /// Gives what is under way so long to settle, by tokio's clock: a day unless said here, as long as no retry
    /// takes. With the clock running it is 30 seconds at most.
    pub fn settle_timeout(mut self, timeout: Duration) -> Self {
        self.settle_timeout = timeout;
        self
    }

    /// Makes the application, and waits until every performer consumes.
    ///
    /// # Panics
    /// Something is wrong with how it is put together: every mistake is told.
    pub async fn start(self) -> TestApp {
        let journal = self.journal.unwrap_or_else(|| {
            let journal = Journal::new();
            self.broker.recorded_by(&journal);
            journal
        });
        let mut builder = CommandProcessor::builder();
        for describe in self.processor {
            builder = describe(builder);
        }
        let processor = builder
            .broker(self.broker.clone())
            .outbox(self.outbox.clone())
            .observed_by(Arc::clone(&journal) as _)
            .build()
            .unwrap_or_else(|errors| panic!("the processor cannot be built: {errors}"));
        let make = |waiting: Vec<Waiting>| -> Vec<Message> {
            waiting.into_iter().map(|make| make(&processor)).collect()
        };
        let own = make(self.waiting);
        for message in &own {
            let published = self.broker.inner().publish(message).await;
            published.unwrap_or_else(|error| {
                panic!("a waiting message: {}", brighter_core::__private::report(&error))
            });
        }
        let deposited = make(self.deposited);
        self.outbox
            .deposit(&deposited, None)
            .await
            .unwrap_or_else(|error| {
                panic!(
                    "a deposited message: {}",
                    brighter_core::__private::report(&error)
                )
            });
        let mut own: Vec<_> = own.into_iter().map(|message| message.header.id).collect();
        own.extend(deposited.into_iter().map(|message| message.header.id));

        let dispatcher = if self.dispatcher.is_empty() {
            None
        } else {
            let mut builder = Dispatcher::builder(processor.clone());
            for describe in self.dispatcher {
                builder = describe(builder);
            }
            let dispatcher = builder
                .build()
                .unwrap_or_else(|errors| panic!("the dispatcher cannot be built: {errors}"));
            // What waits is delivered once every channel is there, as in a system that has run before: else what
            // its handlers post would go nowhere.
            self.broker.hold(true);
            dispatcher.receive();
            dispatcher.consuming().await;
            self.broker.hold(false);
            Some(dispatcher)
        };
        TestApp {
            processor,
            dispatcher,
            broker: self.broker,
            outbox: self.outbox,
            journal,
            settle_timeout: self.settle_timeout,
            when: Mutex::default(),
            own: Mutex::new(own.into_iter().collect()),
        }
    }
}

fn message_of<R: Postable>(processor: &CommandProcessor, request: &R) -> Message {
    processor
        .to_message(request, None)
        .unwrap_or_else(|error| panic!("a request cannot be posted: {}", error.report()))
}

impl std::fmt::Debug for TestAppBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestAppBuilder")
            .field("broker", &self.broker)
            .field("outbox", &self.outbox)
            .finish_non_exhaustive()
    }
}
