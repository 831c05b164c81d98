//! The [`Dispatcher`]: consumes channels and brings what arrives to its handlers.

mod builder;
mod controls;
mod performer;
mod pump;
mod route;
mod settlement;
mod status;

use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;

pub use builder::DispatcherBuilder;
pub use controls::Throttle;
pub use status::{EndReport, InFlight, PerformerState, SubscriptionStatus};

use self::controls::Controls;
use self::performer::Performer;
use self::route::Route;
use self::status::{Board, Place};
use crate::channel::{Broker, SubscriptionSettings};
use crate::message::SubscriptionName;
use crate::processor::CommandProcessor;

/// Consumes channels: each subscription has performers, each performer runs one pump, which gets a message,
/// translates it to a request, dispatches that to its handlers, and settles the message by what became of it.
///
/// ```
/// use brighter::prelude::*;
/// use brighter::{CommandProcessor, Dispatcher};
///
/// #[derive(Debug, Serialize, Deserialize, Message)]
/// #[message(topic = "Greeting")]
/// struct Greet { name: String }
///
/// struct GreetHandler;
///
/// #[handler]
/// impl Handler<Greet> for GreetHandler {
///     async fn handle(&self, greet: &Greet) -> Result<(), BoxError> {
///         println!("Hello, {}", greet.name);
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// let processor = CommandProcessor::builder()
///     .handler(GreetHandler)
///     .broker(InMemoryBroker::new())
///     .outbox(InMemoryOutbox::new())
///     .build()?;
/// let dispatcher = Dispatcher::builder(processor.clone())
///     .subscription(Subscription::<Greet>::new("greetings"))
///     .build()?;
/// dispatcher.receive();
/// dispatcher.consuming().await;
/// processor.post(Greet { name: "Ian".into() }).await?;
/// let report = dispatcher.end().await;
/// assert!(report.interrupted.is_empty());
/// # Ok(())
/// # }
/// ```
pub struct Dispatcher {
    processor: CommandProcessor,
    broker: Arc<dyn Broker>,
    subscriptions: BTreeMap<SubscriptionName, Registered>,
    drain: Duration,
    running: Mutex<BTreeMap<SubscriptionName, Running>>,
    /// What every performer is doing.
    board: Arc<Board>,
}

/// A subscription with what brings its messages to their handlers.
struct Registered {
    settings: Arc<SubscriptionSettings>,
    route: Arc<dyn Route>,
    /// What its performers are told while they run.
    controls: Arc<Controls>,
}

/// The performers of a subscription that was started.
struct Running {
    /// Cancelled to have them stop taking messages.
    stop: Arc<CancellationToken>,
    performers: Vec<JoinHandle<()>>,
    /// Their numbers on the board.
    numbers: Vec<u64>,
}

/// Tasks that end with it: whoever gives up waiting for a drain must not leave them running.
struct AbortOnDrop(Vec<AbortHandle>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

/// There is no subscription of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no subscription `{name}`; there are: {known}")]
#[non_exhaustive]
pub struct UnknownSubscription {
    /// The name that was asked for.
    pub name: SubscriptionName,
    /// The names there are, parted by commas.
    pub known: String,
}

impl Dispatcher {
    /// Begins to describe a dispatcher of this processor's requests.
    pub fn builder(processor: CommandProcessor) -> DispatcherBuilder {
        DispatcherBuilder::new(processor)
    }

    /// Starts every subscription that is not running. Returns at once: see [`consuming`](Self::consuming).
    ///
    /// A broker that is away is no error: the performers wait for it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn receive(&self) {
        for (name, registered) in &self.subscriptions {
            self.start_registered(name, registered);
        }
    }

    /// Starts one subscription, if it is not running.
    ///
    /// # Errors
    /// There is none of that name.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(&self, name: impl Into<SubscriptionName>) -> Result<(), UnknownSubscription> {
        let name = name.into();
        let registered = self.find(&name)?;
        self.start_registered(&name, registered);
        Ok(())
    }

    /// Stops one subscription, if it is running: takes no more messages, finishes those in hand within the
    /// time to drain, and gives the others back.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn stop(&self, name: impl Into<SubscriptionName>) -> Result<EndReport, UnknownSubscription> {
        let name = name.into();
        self.find(&name)?;
        let running = self.running().remove(&name);
        Ok(self
            .drain(
                running
                    .into_iter()
                    .map(|running| (name.clone(), running))
                    .collect(),
            )
            .await)
    }

    /// Stops every subscription, as [`stop`](Self::stop) does, at the same time, and says what was cut short:
    /// those messages were given back, and will be delivered again. Dropping the future cuts short at once.
    pub async fn end(&self) -> EndReport {
        let running = std::mem::take(&mut *self.running());
        self.drain(running).await
    }

    /// Waits until every performer of every subscription that is running consumes its channel.
    pub async fn consuming(&self) {
        let mut changes: watch::Receiver<()> = self.board.changes();
        while !self.board.all_consuming() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// What every subscription is doing, by name.
    #[must_use]
    pub fn status(&self) -> Vec<SubscriptionStatus> {
        self.subscriptions
            .keys()
            .map(|name| self.board.status(name))
            .collect()
    }

    /// The processor that handles what arrives.
    #[must_use]
    pub fn processor(&self) -> &CommandProcessor {
        &self.processor
    }

    fn find(&self, name: &SubscriptionName) -> Result<&Registered, UnknownSubscription> {
        self.subscriptions.get(name).ok_or_else(|| UnknownSubscription {
            name: name.clone(),
            known: self
                .subscriptions
                .keys()
                .map(SubscriptionName::as_str)
                .collect::<Vec<_>>()
                .join(", "),
        })
    }

    fn start_registered(&self, name: &SubscriptionName, registered: &Registered) {
        let mut running = self.running();
        if running.contains_key(name) {
            return;
        }
        let stop = Arc::new(CancellationToken::new());
        let places: Vec<_> = (0..registered.settings.performers.max(1))
            .map(|_| self.board.join(name))
            .collect();
        let numbers = places.iter().map(Place::number).collect();
        let performers = places.into_iter().map(|place| {
            let performer = Performer {
                processor: self.processor.clone(),
                broker: Arc::clone(&self.broker),
                settings: Arc::clone(&registered.settings),
                route: Arc::clone(&registered.route),
                controls: Arc::clone(&registered.controls),
                stop: Arc::clone(&stop),
                place,
            };
            tokio::spawn(performer.run())
        });
        let performers = performers.collect();
        running.insert(
            name.clone(),
            Running {
                stop,
                performers,
                numbers,
            },
        );
    }

    async fn drain(&self, running: BTreeMap<SubscriptionName, Running>) -> EndReport {
        for Running { stop, .. } in running.values() {
            stop.cancel();
        }
        let performers = || running.values().flat_map(|running| &running.performers);
        let aborts = AbortOnDrop(performers().map(JoinHandle::abort_handle).collect());
        let numbers: Vec<u64> = running
            .values()
            .flat_map(|running| running.numbers.clone())
            .collect();
        let mut ends = pin!(join_all(
            running.into_values().flat_map(|running| running.performers)
        ));
        if tokio::time::timeout(self.drain, &mut ends).await.is_ok() {
            return EndReport::default();
        }
        // What they have in hand goes back to its channel as their tasks are dropped. The note of it is taken
        // first, for it goes with them.
        let interrupted = self.board.in_flight(&numbers);
        drop(aborts);
        // A handler that blocks its thread cannot be aborted: it must not hold up the end as well.
        let _ = tokio::time::timeout(ABORT_DEADLINE, ends).await;
        EndReport { interrupted }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<SubscriptionName, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long aborted performers may take to be gone.
const ABORT_DEADLINE: Duration = Duration::from_secs(1);

/// Dropping a dispatcher that was not ended stops it as a crash would: what was in hand goes back.
impl Drop for Dispatcher {
    fn drop(&mut self) {
        for Running { stop, performers, .. } in self.running().values() {
            stop.cancel();
            performers.iter().for_each(JoinHandle::abort);
        }
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
