//! The [`Dispatcher`]: consumes channels and brings what arrives to its handlers.

mod adaptive;
mod builder;
mod careful;
mod check;
mod circle;
mod circuit_hold;
#[cfg(feature = "config")]
pub(crate) mod configure;
mod control;
mod controls;
mod declare;
mod drain;
mod handling;
mod handling_set;
mod handover;
mod health;
mod in_flight_delivery;
mod in_flight_table;
mod keyed_queues;
mod neighbours;
mod observe;
mod performer;
mod pump;
mod readiness;
mod registered;
mod reply;
mod requests;
mod route;
mod selector;
mod settlement;
mod stalls;
mod status;
mod status_registry;
mod steer;
mod supervisor;
mod watchdog;
mod watchdog_waker;
mod within;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use builder::DispatcherBuilder;
#[cfg(feature = "control")]
pub use control::{Control, ControlSecret, Nodes, SendControlError, WeakSecret};
pub use control::{ControlCommand, ControlReport};
pub use controls::Throttle;
pub use declare::DeclareErrors;
pub use observe::StatusChanges;
pub use readiness::{NotReady, Readiness};
pub use requests::Requests;
pub use status::{
    InFlight, PerformerState, PerformerStatus, ShutdownReport, SubscriptionState, SubscriptionStatus,
};
pub use steer::ControlError;

use self::check::{BuildContext, UncheckedSubscription};
use self::neighbours::SubscriptionIndex;
use self::registered::{Registered, Running};
use self::stalls::StallMonitor;
use self::status_registry::StatusRegistry;
use self::supervisor::Supervisor;
use crate::processor::{BuildErrors, CommandProcessor};
use crate::subscription::Subscription;
use brighter_core::channel::Broker;
use brighter_core::message::SubscriptionName;

/// Consumes channels: each subscription has performers, each performer runs one pump, which gets a message,
/// translates it to a request, dispatches that to its handlers, and settles the message by what became of it.
///
/// Clones are the same dispatcher: keep one to steer it, or to look at it, while [`host::run`](crate::host::run)
/// has the other. When the last is dropped, it stops as a crash would stop it, and what was in hand goes back; a
/// handler that keeps one prevents that.
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
/// dispatcher.wait_until_consuming().await;
/// processor.post(Greet { name: "Ian".into() }).await?;
/// let report = dispatcher.end().await;
/// assert!(report.interrupted.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Dispatcher(Arc<Inner>);

struct Inner {
    processor: CommandProcessor,
    broker: Arc<dyn Broker>,
    drain: Duration,
    /// The activity of every performer.
    statuses: Arc<StatusRegistry>,
    /// For the performer that handles a suspect: one in the process at a time.
    suspects: Arc<Semaphore>,
    stalls: StallMonitor,
    state: Mutex<State>,
}

struct State {
    /// Whether a subscription that is added is started at once.
    receiving: bool,
    subscriptions: BTreeMap<SubscriptionName, KnownSubscription>,
    /// The subscription that brings commands, if they come over the broker. It has no name, so no command stops it.
    control: Option<KnownSubscription>,
}

/// A subscription, and its performers if it was started.
struct KnownSubscription {
    registered: Arc<Registered>,
    /// The processor of the messages.
    processor: CommandProcessor,
    running: Option<Running>,
}

/// There is no subscription of that name.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown subscription `{name}`; the dispatcher has: {known}")]
#[non_exhaustive]
pub struct UnknownSubscription {
    /// The name that was asked for.
    pub name: SubscriptionName,
    /// The names there are, parted by commas.
    pub known: String,
}

brighter_core::__private::readable_debug!(UnknownSubscription);

impl Dispatcher {
    fn new(
        processor: CommandProcessor,
        broker: Arc<dyn Broker>,
        drain: Duration,
        subscriptions: Vec<Registered>,
    ) -> Self {
        let known = |registered| KnownSubscription::new(registered, processor.clone());
        let subscriptions: BTreeMap<_, _> = subscriptions
            .into_iter()
            .map(|registered| (registered.settings.name.clone(), known(registered)))
            .collect();
        Self(Arc::new(Inner {
            processor,
            broker,
            drain,
            statuses: Arc::default(),
            suspects: Arc::new(Semaphore::new(1)),
            stalls: StallMonitor::default(),
            state: Mutex::new(State {
                receiving: false,
                subscriptions,
                control: None,
            }),
        }))
    }

    /// Starts every subscription that is not running, and from now on every one that is added. Returns at once:
    /// see [`wait_until_consuming`](Self::wait_until_consuming).
    ///
    /// A broker that is away is no error: the performers wait for it.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn receive(&self) {
        let mut state = self.0.state();
        state.receiving = true;
        let State {
            subscriptions,
            control,
            ..
        } = &mut *state;
        for known in subscriptions.values_mut().chain(control) {
            self.0.start(known);
        }
    }

    /// Starts one subscription, if it is not running: with the performers and the throttle that it had last, and
    /// paused if it was.
    ///
    /// # Errors
    /// There is none of that name.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(&self, name: impl Into<SubscriptionName>) -> Result<(), UnknownSubscription> {
        let mut state = self.0.state();
        self.0.start(state.find(&name.into())?);
        Ok(())
    }

    /// Stops one subscription, if it is running: takes no more messages, finishes those in hand within the
    /// time to drain, and gives the others back.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn stop(
        &self,
        name: impl Into<SubscriptionName>,
    ) -> Result<ShutdownReport, UnknownSubscription> {
        let running = self.0.state().find(&name.into())?.running.take();
        Ok(self.0.drain(running.into_iter().collect()).await)
    }

    /// Stops every subscription, as [`stop`](Self::stop) does, at the same time, and says what was cut short:
    /// those messages were given back, and will be delivered again. Dropping the future cuts short at once.
    pub async fn end(&self) -> ShutdownReport {
        let running = {
            let mut state = self.0.state();
            let control = state.control.as_mut().and_then(|known| known.running.take());
            state.take_running().chain(control).collect()
        };
        self.0.drain(running).await
    }

    /// Stops all subscriptions, while control commands are still obeyed.
    async fn stop_all(&self) -> ShutdownReport {
        let running = self.0.state().take_running().collect();
        self.0.drain(running).await
    }

    /// Adds a subscription, also while others are running: it is started at once if the dispatcher is receiving.
    ///
    /// # Errors
    /// Everything that is wrong with it, as `build()` would have said. Then nothing has changed.
    ///
    /// # Panics
    /// Outside a tokio runtime, if it is to be started.
    ///
    /// ```
    /// # use brighter::prelude::*;
    /// # #[derive(Serialize, Deserialize, Message)]
    /// # #[message(topic = "Greeting")]
    /// # struct Greet;
    /// # fn example(dispatcher: &Dispatcher) -> Result<(), BoxError> {
    /// dispatcher.add(Subscription::<Greet>::new("more-greetings").performers(2))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn add<R: Requests>(&self, subscription: Subscription<R>) -> Result<(), BuildErrors> {
        let candidate = UncheckedSubscription::new(&self.0.processor, subscription);
        let mut state = self.0.state();
        let known = state.subscriptions.values();
        let mut errors = Vec::new();
        let terms = BuildContext {
            broker: Some(&*self.0.broker),
            drain: self.0.drain,
        };
        let others: SubscriptionIndex<'_> = known.map(|known| &*known.registered.settings).collect();
        candidate.check(&others, &terms, &mut errors);
        BuildErrors::check(errors)?;
        let mut known = KnownSubscription::new(candidate.register(), self.0.processor.clone());
        if state.receiving {
            self.0.start(&mut known);
        }
        let name = known.registered.settings.name.clone();
        state.subscriptions.insert(name, known);
        drop(state);
        self.0.statuses.changed();
        Ok(())
    }

    /// Stops a subscription, as [`stop`](Self::stop) does, and forgets it. Its channel stays as it is at the
    /// broker, and goes on gathering messages.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn remove(
        &self,
        name: impl Into<SubscriptionName>,
    ) -> Result<ShutdownReport, UnknownSubscription> {
        let name = name.into();
        let running = {
            let mut state = self.0.state();
            let running = state.find(&name)?.running.take();
            state.subscriptions.remove(&name);
            running
        };
        let report = self.0.drain(running.into_iter().collect()).await;
        self.0.statuses.forget(&name);
        self.0.statuses.changed();
        Ok(report)
    }

    /// The processor that handles what arrives.
    #[must_use]
    pub fn processor(&self) -> &CommandProcessor {
        &self.0.processor
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, known: &mut KnownSubscription) {
        if known.is_running() {
            return;
        }
        known.registered.controls.begin_anew();
        let run = self.statuses.next_run();
        let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
        let supervisor = Supervisor {
            registered: Arc::clone(&known.registered),
            processor: known.processor.clone(),
            broker: Arc::clone(&self.broker),
            statuses: Arc::clone(&self.statuses),
            suspects: Arc::clone(&self.suspects),
            run,
            stop: stop.clone(),
            cut: cut.clone(),
        };
        known.running = Some(Running {
            run,
            stop,
            cut,
            supervisor: tokio::spawn(supervisor.run()),
        });
    }
}

impl State {
    /// From now on nothing is running, nor started when it is added.
    fn take_running(&mut self) -> impl Iterator<Item = Running> {
        self.receiving = false;
        let known = self.subscriptions.values_mut();
        known.filter_map(|known| known.running.take())
    }

    fn find(&mut self, name: &SubscriptionName) -> Result<&mut KnownSubscription, UnknownSubscription> {
        // Made in advance, for what was not found still lends the map; nobody steers often enough to notice.
        let unknown = self.unknown(name);
        self.subscriptions.get_mut(name).ok_or(unknown)
    }

    fn unknown(&self, name: &SubscriptionName) -> UnknownSubscription {
        let known = self.subscriptions.keys().map(SubscriptionName::as_str);
        UnknownSubscription {
            name: name.clone(),
            known: known.collect::<Vec<_>>().join(", "),
        }
    }
}

impl KnownSubscription {
    fn new(registered: Registered, processor: CommandProcessor) -> Self {
        Self {
            registered: Arc::new(registered),
            processor,
            running: None,
        }
    }

    fn is_running(&self) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|running| !running.supervisor.is_finished())
    }
}

/// A dispatcher that was not ended stops as a crash would stop it: what was in hand goes back.
impl Drop for Inner {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let known = state.subscriptions.values().chain(&state.control);
        for running in known.filter_map(|known| known.running.as_ref()) {
            running.stop.cancel();
            running.supervisor.abort();
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
