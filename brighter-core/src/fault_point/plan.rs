//! [`Plan`]: which actions happen at which fault points.

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::runtime::{Handle, Id};
use tokio::sync::watch;

use super::action::{Action, NoRule, Rule};

/// The environment variable with the plan of a process:
/// `BRIGHTER_FAULT_POINTS="relay.confirm=kill,settle.before#3=sleep(5ms)"`.
const VARIABLE: &str = "BRIGHTER_FAULT_POINTS";

/// Tells which actions happen at which fault points, and counts the passings.
///
/// A plan applies to a whole tokio runtime, and so to one test: `#[tokio::test]` makes a runtime for each. A process
/// that is to be killed gets its plan by the environment variable `BRIGHTER_FAULT_POINTS`.
///
/// Clones share one plan.
#[derive(Clone)]
pub struct Plan(Arc<Shared>);

struct Shared {
    rules: Vec<Rule>,
    passed: Mutex<BTreeMap<&'static str, Passed>>,
    /// How many rules have been applied.
    happened: AtomicUsize,
    dead: watch::Sender<bool>,
    stopped: watch::Sender<usize>,
    going: watch::Sender<bool>,
    cut: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// The passings of one fault point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Passed {
    /// The number of passings.
    pub times: usize,
    /// Whether the step can fail, so that [`Action::Error`] has an effect.
    pub can_fail: bool,
}

/// The plans, by their runtimes.
static PLANS: OnceLock<Mutex<HashMap<Id, Plan>>> = OnceLock::new();
/// The number of plans, so that the common case of none is cheap.
static INSTALLED: AtomicUsize = AtomicUsize::new(0);

fn plans() -> MutexGuard<'static, HashMap<Id, Plan>> {
    let plans = PLANS.get_or_init(Mutex::default);
    plans.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Plan {
    /// Returns a plan of these rules. A plan without rules counts the passings.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self(Arc::new(Shared {
            rules: rules.into_iter().collect(),
            passed: Mutex::default(),
            happened: AtomicUsize::new(0),
            dead: watch::Sender::new(false),
            stopped: watch::Sender::new(0),
            going: watch::Sender::new(false),
            cut: OnceLock::new(),
        }))
    }

    /// Returns the plan of this process from the environment, if there is one.
    ///
    /// # Panics
    /// Panics if the value of the variable is not a plan.
    #[allow(
        clippy::panic,
        reason = "a plan that cannot be read must not be taken for none"
    )]
    pub fn of_process() -> Option<&'static Self> {
        static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
        let read = || match env::var(VARIABLE).ok()?.parse() {
            Ok(plan) => Some(plan),
            Err(error) => panic!("{VARIABLE}: {error}"),
        };
        PLAN.get_or_init(read).as_ref()
    }

    /// Returns the plan of the current runtime, or else that of the process.
    pub(super) fn current() -> Option<Self> {
        let of_runtime = (INSTALLED.load(Ordering::Acquire) > 0)
            .then(|| plans().get(&Handle::try_current().ok()?.id()).cloned())
            .flatten();
        of_runtime.or_else(|| Self::of_process().cloned())
    }

    /// Applies the plan to the runtime of the caller, until the returned guard is dropped.
    ///
    /// # Panics
    /// Panics if the caller is outside of a runtime.
    pub fn install(&self) -> Installed {
        let id = Handle::current().id();
        if plans().insert(id, self.clone()).is_none() {
            INSTALLED.fetch_add(1, Ordering::Release);
        }
        Installed(id)
    }

    /// Returns the fault points that were passed so far.
    #[must_use]
    pub fn passed(&self) -> BTreeMap<&'static str, Passed> {
        self.lock().clone()
    }

    /// Returns whether every rule has been applied. A rule stays unapplied if its point is passed too few times.
    #[must_use]
    pub fn all_happened(&self) -> bool {
        self.0.happened.load(Ordering::Acquire) >= self.0.rules.len()
    }

    /// Waits until a caller [dies](Action::Die).
    pub async fn died(&self) {
        // The sender lives as long as this plan, so waiting cannot fail.
        let _ = self.0.dead.subscribe().wait_for(|dead| *dead).await;
    }

    /// Waits until a caller [stops](Action::Stop).
    pub async fn stopped(&self) {
        let _ = self.0.stopped.subscribe().wait_for(|stopped| *stopped > 0).await;
    }

    /// Lets all stopped callers go on, and later ones too.
    pub fn go_on(&self) {
        self.0.going.send_replace(true);
    }

    /// Sets the function of [`Action::Cut`], which cuts a connection. Only the first call has an effect.
    pub fn on_cut(&self, cut: impl Fn() + Send + Sync + 'static) {
        let _ = self.0.cut.set(Box::new(cut));
    }

    pub(super) fn is_dead(&self) -> bool {
        *self.0.dead.borrow()
    }

    /// Counts a passing, and returns the action for it.
    pub(super) fn passes(&self, name: &'static str, can_fail: bool) -> Option<Action> {
        let passing = {
            let mut passed = self.lock();
            let passed = passed.entry(name).or_default();
            passed.times += 1;
            passed.can_fail |= can_fail;
            passed.times
        };
        let rule = |rule: &&Rule| rule.point == name && rule.passing == passing;
        let rule = self.0.rules.iter().find(rule)?;
        self.0.happened.fetch_add(1, Ordering::AcqRel);
        Some(rule.action)
    }

    pub(super) fn die(&self) {
        self.0.dead.send_replace(true);
    }

    pub(super) fn cut(&self) {
        if let Some(cut) = self.0.cut.get() {
            cut();
        }
    }

    pub(super) async fn stop_here(&self) {
        self.0.stopped.send_modify(|stopped| *stopped += 1);
        let _ = self.0.going.subscribe().wait_for(|going| *going).await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Passed>> {
        self.0.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("rules", &self.0.rules)
            .field("passed", &self.passed())
            .finish_non_exhaustive()
    }
}

/// Keeps a plan applied to a runtime until it is dropped.
#[derive(Debug)]
#[must_use = "the plan holds no longer when this is dropped"]
pub struct Installed(Id);

impl Drop for Installed {
    fn drop(&mut self) {
        if plans().remove(&self.0).is_some() {
            INSTALLED.fetch_sub(1, Ordering::Release);
        }
    }
}

/// Parses rules separated by commas.
impl FromStr for Plan {
    type Err = NoRule;

    fn from_str(text: &str) -> Result<Self, NoRule> {
        let rules = text.split(',').filter(|rule| !rule.trim().is_empty());
        let rules = rules.map(|rule| rule.trim().parse());
        rules.collect::<Result<Vec<Rule>, _>>().map(Self::new)
    }
}
