//! [`TestApp`]: a whole application in one process, for tests of what becomes of a message.

mod builder;
mod journal;
mod mistake;
mod settling;
mod then;
mod timeline;
mod world;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

pub use self::builder::TestAppBuilder;
pub(crate) use self::journal::Journal;
pub use self::then::Then;
use self::timeline::Timeline;
pub(super) use self::world::World;
use super::FaultyBroker;
use crate::dispatcher::{Dispatcher, ShutdownReport};
use crate::processor::{CommandProcessor, PublishErrors, SendError};
use brighter_core::id::MessageId;
use brighter_core::mapper::Postable;
use brighter_core::outbox::Outbox;
use brighter_core::request::{Command, Event};

/// A whole application in one process: its own handlers, policies and subscriptions on a broker in memory, and on an
/// outbox in memory unless the application says its own. A test says what is given, what happens then, and what is to
/// come of it; see the [module](crate::testing) for a whole one.
///
/// Run it with tokio's clock paused (`#[tokio::test(start_paused = true)]`), so that retries after a minute take no
/// time. It works with the clock running as well, and then takes as long as the application does. An outbox or an inbox
/// in a database needs the clock running: the database takes time that a paused clock knows nothing of.
pub struct TestApp {
    processor: CommandProcessor,
    /// None, if the application subscribes to nothing.
    dispatcher: Option<Dispatcher>,
    broker: FaultyBroker,
    /// How many messages were dead in the outbox when the application was started.
    dead_before: u64,
    journal: Arc<Journal>,
    /// How long a cascade may take to settle, by tokio's clock.
    settle_timeout: Duration,
    /// Where in the journal the last `when` began.
    when: Mutex<usize>,
    /// The messages that the test itself posted.
    own: Mutex<HashSet<MessageId>>,
}

/// Less than any timer: a paused clock moves only when everything that can run has run.
const MOMENT: Duration = Duration::from_millis(1);

impl TestApp {
    /// Posts a request and waits until all that follows from it has settled, as history: what came of it is not
    /// for [`then`](Self::then).
    ///
    /// # Panics
    /// As [`when_posted`](Self::when_posted).
    pub async fn given<R: Postable>(&self, request: R) -> MessageId {
        let id = self.when_posted(request).await;
        self.begin();
        id
    }

    /// Posts a request and waits until all that follows from it has [settled](Self::settled).
    ///
    /// # Panics
    /// It is not posted, or something does not settle.
    pub async fn when_posted<R: Postable>(&self, request: R) -> MessageId {
        self.begin();
        let posted = self.processor.post(request).await;
        let id = posted
            .unwrap_or_else(|error| self.fail(&format!("the request was not posted: {}", error.report())));
        self.own().insert(id.clone());
        self.settled().await;
        id
    }

    /// Sends a command in process and waits until all that it posted has [settled](Self::settled).
    ///
    /// # Errors
    /// Those of [`CommandProcessor::send`].
    ///
    /// # Panics
    /// Something does not settle.
    pub async fn when_sent<C: Command>(&self, command: C) -> Result<C::Reply, SendError> {
        self.begin();
        let reply = self.processor.send(command).await;
        self.settled().await;
        reply
    }

    /// Publishes an event in process and waits until all that it posted has [settled](Self::settled).
    ///
    /// # Errors
    /// Those of [`CommandProcessor::publish`].
    ///
    /// # Panics
    /// Something does not settle.
    pub async fn when_published<E: Event>(&self, event: E) -> Result<(), PublishErrors> {
        self.begin();
        let published = self.processor.publish(event).await;
        self.settled().await;
        published
    }

    /// Lets time pass, and does not wait for what is due later.
    pub async fn when_time_passes(&self, time: Duration) {
        self.begin();
        sleep(time).await;
        sleep(MOMENT).await;
    }

    /// Returns the requests of type `R` that the test or handlers posted since the last `when`, each once and in order.
    ///
    /// # Panics
    /// The mapper of `R` does not understand one.
    #[must_use]
    pub fn posted<R: Postable>(&self) -> Vec<R> {
        self.then().requests()
    }

    /// The processor.
    #[must_use]
    pub fn processor(&self) -> &CommandProcessor {
        &self.processor
    }

    /// The dispatcher; `None`, if the application subscribes to nothing.
    #[must_use]
    pub fn dispatcher(&self) -> Option<&Dispatcher> {
        self.dispatcher.as_ref()
    }

    /// The broker, to have it fail or to look into its channels.
    #[must_use]
    pub fn broker(&self) -> &FaultyBroker {
        &self.broker
    }

    /// Returns the outbox: that of the application, or else one in memory.
    #[must_use]
    pub fn outbox(&self) -> &dyn Outbox {
        let outbox = self.processor.stored_in();
        &**outbox.expect("the builder has seen to it that there is one")
    }

    /// Everything that happened since the start, one line each, for a person to read.
    #[must_use]
    pub fn timeline(&self) -> String {
        Timeline(&self.journal.entries()).to_string()
    }

    /// Ends the application as its host would, and says what was cut short.
    pub async fn end(self) -> ShutdownReport {
        self.close().await
    }

    /// Closes the application, also where others hold it.
    pub(super) async fn close(&self) -> ShutdownReport {
        let report = match &self.dispatcher {
            Some(dispatcher) => dispatcher.end().await,
            None => ShutdownReport::default(),
        };
        self.processor.close().await;
        report
    }

    /// Begins the part of the journal that the next `then` is about.
    fn begin(&self) {
        *self.when.lock().unwrap_or_else(PoisonError::into_inner) = self.journal.len();
    }

    fn own(&self) -> MutexGuard<'_, HashSet<MessageId>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        panic!("{what}\n\nWhat happened:\n{}", self.timeline())
    }
}

impl fmt::Debug for TestApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestApp")
            .field("processor", &self.processor)
            .field("dispatcher", &self.dispatcher)
            .field("broker", &self.broker)
            .finish_non_exhaustive()
    }
}
