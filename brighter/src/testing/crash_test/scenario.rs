//! A [`Scenario`]: what an application does, to be run again and again.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use crate::processor::CommandProcessor;
use crate::testing::{TestApp, TestAppBuilder};

type App = Box<dyn Fn(TestAppBuilder) -> LocalBoxFuture<'static, TestAppBuilder>>;
type When = Box<dyn FnOnce(ProcessRun) -> LocalBoxFuture<'static, ()>>;
type Effects = Box<dyn Fn() -> LocalBoxFuture<'static, Vec<String>>>;

/// A description of an application and its work. Every run of [`crash_test`](super::crash_test) makes it anew.
#[must_use = "it is what the function given to `crash_test` gives back"]
pub struct Scenario {
    pub(super) app: App,
    pub(super) when: When,
    pub(super) effects: Effects,
    pub(super) exactly_once: bool,
    pub(super) in_pairs: bool,
    pub(super) paused: bool,
}

impl Scenario {
    pub(super) fn new() -> Self {
        Self {
            app: Box::new(|app| async { app }.boxed_local()),
            when: Box::new(|_| async {}.boxed_local()),
            effects: Box::new(|| async { Vec::new() }.boxed_local()),
            exactly_once: false,
            in_pairs: true,
            paused: true,
        }
    }

    /// How the application is put together: its handlers, policies, subscriptions, its inbox. It is called for each
    /// life, for what died is started again; what outlives it belongs outside. The broker is the kit's and outlives it, and
    /// so does the outbox, unless the application says its own.
    pub fn app<F>(mut self, app: impl Fn(TestAppBuilder) -> F + 'static) -> Self
    where
        F: Future<Output = TestAppBuilder> + 'static,
    {
        self.app = Box::new(move |builder| app(builder).boxed_local());
        self
    }

    /// Sets the work of the application in its first life. With a fault some steps fail here: [promise](ProcessRun::promise) the
    /// effects of those that succeeded.
    pub fn when<F>(mut self, when: impl FnOnce(ProcessRun) -> F + 'static) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        self.when = Box::new(move |life| when(life).boxed_local());
        self
    }

    /// Sets how to read the effects when everything has settled: the name of each effect, as often as it is there.
    pub fn effects<F>(mut self, effects: impl Fn() -> F + 'static) -> Self
    where
        F: Future<Output = Vec<String>> + 'static,
    {
        self.effects = Box::new(move || effects().boxed_local());
        self
    }

    /// No effect may be there twice: the application has an inbox, and completes its requests in the transactions of
    /// their effects.
    pub fn exactly_once(mut self) -> Self {
        self.exactly_once = true;
        self
    }

    /// One fault a run and no second one, for a scenario that takes long.
    pub fn one_fault_at_a_time(mut self) -> Self {
        self.in_pairs = false;
        self
    }

    /// Leaves tokio's clock running, for an application that waits for what is outside the process, as a database
    /// is. Its pauses take their time then, so give it short ones.
    pub fn with_the_clock_running(mut self) -> Self {
        self.paused = false;
        self
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario")
            .field("exactly_once", &self.exactly_once)
            .field("in_pairs", &self.in_pairs)
            .field("paused", &self.paused)
            .finish_non_exhaustive()
    }
}

/// The application while it lives.
#[derive(Debug, Clone)]
pub struct ProcessRun {
    pub(super) app: Arc<TestApp>,
    promised: Promised,
}

/// The promises, of whichever life.
pub(super) type Promised = Arc<Mutex<BTreeSet<String>>>;

impl ProcessRun {
    pub(super) fn new(app: Arc<TestApp>, promised: &Promised) -> Self {
        let promised = Arc::clone(promised);
        Self { app, promised }
    }

    /// The application.
    #[must_use]
    pub fn app(&self) -> &TestApp {
        &self.app
    }

    /// Its processor.
    #[must_use]
    pub fn processor(&self) -> &CommandProcessor {
        self.app.processor()
    }

    /// From here on, whatever goes wrong, this effect must come: what leads to it was accepted.
    pub fn promise(&self, effect: impl Into<String>) {
        let mut promised = self.promised.lock().unwrap_or_else(PoisonError::into_inner);
        promised.insert(effect.into());
    }
}
