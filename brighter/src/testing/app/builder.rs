//! Puts a [`TestApp`] together.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{self, Duration};

use tokio::time::{Instant, sleep};

use super::journal::Journal;
use super::settling::LONGEST_REALLY;
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
    /// Where messages wait if the application says no other outbox.
    in_memory: InMemoryOutbox,
    allows_panics: bool,
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
            in_memory: InMemoryOutbox::new(),
            allows_panics: false,
            journal: None,
            waiting: Vec::new(),
            deposited: Vec::new(),
            settle_timeout: DEFAULT_SETTLE_TIMEOUT,
        }
    }

    /// Adds handlers, policies, publications, an outbox, an inbox: whatever the application's own processor has, but its
    /// broker, which is the kit's. Without an outbox there is one in memory.
    ///
    /// An application whose `main` and whose tests call one function for this is tested as it runs.
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
        self.in_memory = world.outbox.clone();
        self.journal = Some(Arc::clone(&world.journal));
        self
    }

    /// Uses this broker, which the test keeps a clone of to have it fail. One broker is for one application.
    pub fn broker(mut self, broker: FaultyBroker) -> Self {
        self.broker = broker;
        self
    }

    /// Uses this outbox, as `.processor(|it| it.outbox(outbox))` does: one in memory that the test has a clone of, or the
    /// application's own in its database, for handlers with transactions of their own.
    pub fn outbox(self, outbox: impl Outbox) -> Self {
        self.processor(|processor| processor.outbox(outbox))
    }

    /// Treats a panic of a handler as in production: the message is retried, and dead-lettered after its last attempt.
    /// Without this a panic ends the test at once, because it is usually a mistake, or an `assert!` of the test.
    pub fn allow_panics(mut self) -> Self {
        self.allows_panics = true;
        self
    }

    /// Puts this request into the channel of its subscription before the channel is consumed.
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

    /// Puts this request into the outbox, as if the process had died before it was sent.
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
    /// Something is wrong with how it is put together: every mistake is told. Or a performer does not consume within the
    /// [time to settle](Self::settle_timeout), or within 30 seconds by the clock on the wall.
    pub async fn start(self) -> TestApp {
        let journal = self.journal.unwrap_or_else(|| {
            let journal = Journal::new();
            self.broker.recorded_by(&journal);
            journal
        });
        journal.allows_panics.store(self.allows_panics, Ordering::Relaxed);
        let mut builder = CommandProcessor::builder();
        for describe in self.processor {
            builder = describe(builder);
        }
        let processor = builder
            .broker(self.broker.clone())
            .outbox_unless_set(self.in_memory)
            .observed_by(Arc::clone(&journal) as _)
            .build()
            .unwrap_or_else(|errors| panic!("the processor cannot be built: {errors}"));
        let outbox = processor.stored_in().expect("an outbox was given");
        check_clock(&**outbox);
        let dead_before = match outbox.status().await {
            Ok(status) => status.dead,
            Err(error) => panic!("the outbox: {}", brighter_core::__private::report(&error)),
        };
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
        outbox.deposit(&deposited, None).await.unwrap_or_else(|error| {
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
            consuming(&dispatcher, self.settle_timeout).await;
            self.broker.hold(false);
            Some(dispatcher)
        };
        TestApp {
            processor,
            dispatcher,
            broker: self.broker,
            dead_before,
            journal,
            settle_timeout: self.settle_timeout,
            when: Mutex::default(),
            own: Mutex::new(own.into_iter().collect()),
        }
    }
}

/// Waits until every performer consumes.
async fn consuming(dispatcher: &Dispatcher, longest: Duration) {
    let (began, really) = (Instant::now(), time::Instant::now());
    while began.elapsed() <= longest && really.elapsed() <= LONGEST_REALLY {
        tokio::select! {
            () = dispatcher.wait_until_consuming() => return,
            () = sleep(Duration::from_secs(1)) => {}
        }
    }
    panic!("not every performer consumes: {}", dispatcher.readiness());
}

/// A call of a database would seem to take as long as it may, for a paused clock moves on while nothing else can run.
fn check_clock(outbox: &dyn Outbox) {
    let began = tokio::time::Instant::now();
    // Shorter than anything that somebody notices, and longer than no time at all.
    std::thread::sleep(Duration::from_millis(2));
    let is_paused = began.elapsed().is_zero();
    assert!(
        !is_paused || !is_database(outbox),
        "the outbox is in a database, which tokio's paused clock does not wait for: leave out `start_paused` in this test"
    );
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
fn is_database(outbox: &dyn Outbox) -> bool {
    let outbox: &dyn std::any::Any = outbox;
    let is_any = [
        #[cfg(feature = "sqlite")]
        outbox.is::<brighter_sql::store::sqlite::SqliteOutbox>(),
        #[cfg(feature = "postgres")]
        outbox.is::<brighter_sql::store::postgres::PostgresOutbox>(),
        #[cfg(feature = "mysql")]
        outbox.is::<brighter_sql::store::mysql::MySqlOutbox>(),
    ];
    is_any.contains(&true)
}

#[cfg(not(any(feature = "sqlite", feature = "postgres", feature = "mysql")))]
fn is_database(_: &dyn Outbox) -> bool {
    false
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
            .finish_non_exhaustive()
    }
}
