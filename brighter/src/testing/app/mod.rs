//! [`TestApp`]: a whole application in one process, for tests of what becomes of a message.

mod builder;
mod journal;
mod then;
mod timeline;
mod world;

use std::collections::HashSet;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{self, Duration};

use tokio::time::{Instant, sleep};

pub use self::builder::TestAppBuilder;
pub(crate) use self::journal::Journal;
pub use self::then::Then;
use self::timeline::Timeline;
pub(super) use self::world::World;
use super::FaultyBroker;
use crate::dispatcher::{Dispatcher, EndReport};
use crate::in_memory::outbox::InMemoryOutbox;
use crate::processor::{CommandProcessor, PublishErrors, SendError};
use brighter_core::id::MessageId;
use brighter_core::mapper::Postable;
use brighter_core::request::{Command, Event};

/// A whole application in one process: its own handlers, policies and subscriptions on a broker and an outbox in
/// memory. A test says what is given, what happens then, and what is to come of it; see the
/// [module](crate::testing) for a whole one.
///
/// Run it with tokio's clock paused (`#[tokio::test(start_paused = true)]`), so that retries after a minute take no
/// time. It works with the clock running as well, and then takes as long as the application does.
pub struct TestApp {
    processor: CommandProcessor,
    /// None, if the application subscribes to nothing.
    dispatcher: Option<Dispatcher>,
    broker: FaultyBroker,
    outbox: InMemoryOutbox,
    journal: Arc<Journal>,
    /// How long a cascade may take to settle, by tokio's clock.
    settle_timeout: Duration,
    /// Where in the journal the last `when` began.
    when: Mutex<usize>,
    /// What the test itself posted.
    own: Mutex<HashSet<MessageId>>,
}

/// How long a cascade may take to settle by the clock on the wall, which is never paused.
const LONGEST_REALLY: Duration = Duration::from_secs(30);
/// How often to look at the clocks while nothing happens. What happens is told at once.
const TICK: Duration = Duration::from_secs(1);
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

    /// Waits until nothing is under way: every message that was posted, to whatever depth, is handled, in a
    /// dead-letter or an invalid-message channel, or parked in a channel that nobody here consumes, and the outbox
    /// has sent all that the broker will take.
    ///
    /// It counts copies and waits for no time. What a handler does in a task of its own that it does not wait for
    /// is not seen.
    ///
    /// # Panics
    /// Something is still under way when the [time to settle](TestAppBuilder::settle_timeout) is at its end, or after 30 seconds
    /// by the clock on the wall, as when the connection stays lost.
    pub async fn settled(&self) {
        self.wait_for(None).await;
    }

    /// Waits until the message and all that was posted because of it, by
    /// [`cx.post`](crate::ContextExt::post) and [`cx.deposit_post`](crate::ContextExt::deposit_post), has
    /// [settled](Self::settled), whatever else is under way.
    ///
    /// # Panics
    /// As [`settled`](Self::settled).
    pub async fn cascade_settled(&self, of: &MessageId) {
        self.wait_for(Some(of)).await;
    }

    async fn wait_for(&self, cause: Option<&MessageId>) {
        let (began, really) = (Instant::now(), time::Instant::now());
        loop {
            let mut seen = pin!(self.journal.changed().notified());
            let mut sent = pin!(self.outbox.changed().notified());
            seen.as_mut().enable();
            sent.as_mut().enable();
            // What is unsent becomes live before it is sent, and what is live may deposit: only if nothing happened
            // between two looks are both true at once.
            let (_, before) = self.journal.live(cause);
            let unsent = self.outbox.unsent();
            let (live, after) = self.journal.live(cause);
            if before == after && unsent == 0 && live == 0 {
                return;
            }
            if began.elapsed() > self.settle_timeout || really.elapsed() > LONGEST_REALLY {
                self.fail(&format!(
                    "not settled: {live} copies are not handled, and the outbox has {unsent} to send"
                ));
            }
            if before == after {
                tokio::select! {
                    () = seen => {}
                    () = sent => {}
                    () = sleep(TICK) => {}
                }
            }
        }
    }

    /// What was posted, by the test or by handlers, of type `R` since the last `when`, each once and in its order.
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

    /// The outbox.
    #[must_use]
    pub fn outbox(&self) -> &InMemoryOutbox {
        &self.outbox
    }

    /// Everything that happened since the start, one line each, for a person to read.
    #[must_use]
    pub fn timeline(&self) -> String {
        Timeline(&self.journal.entries()).to_string()
    }

    /// Ends the application as its host would, and says what was cut short.
    pub async fn end(self) -> EndReport {
        self.close().await
    }

    /// The same, where others hold it too.
    pub(super) async fn close(&self) -> EndReport {
        let report = match &self.dispatcher {
            Some(dispatcher) => dispatcher.end().await,
            None => EndReport::default(),
        };
        self.processor.close().await;
        report
    }

    /// What happens from here is for the next `then`.
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
            .field("outbox", &self.outbox)
            .finish_non_exhaustive()
    }
}
