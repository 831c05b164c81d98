//! A [`Plan`]: what is to happen at which fault points, and for whom.

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::runtime::{Handle, Id};
use tokio::sync::watch;

use super::action::{Action, NoRule, Rule};

/// By this variable a process is told its plan: `BRIGHTER_FAULT_POINTS="relay.confirm=kill,settle.before#3=sleep(5ms)"`.
const VARIABLE: &str = "BRIGHTER_FAULT_POINTS";

/// What is to happen at which fault points, and a count of those that were passed.
///
/// It holds for a whole tokio runtime, whatever runs on it, and so for one test: `#[tokio::test]` makes a runtime
/// for each. A process that is to be killed is told its plan by the environment variable `BRIGHTER_FAULT_POINTS`.
///
/// Clones are the same plan.
#[derive(Clone)]
pub struct Plan(Arc<Shared>);

struct Shared {
    rules: Vec<Rule>,
    passed: Mutex<BTreeMap<&'static str, Passed>>,
    /// How many rules have happened.
    happened: AtomicUsize,
    dead: watch::Sender<bool>,
    stopped: watch::Sender<usize>,
    going: watch::Sender<bool>,
    cut: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// How a fault point was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Passed {
    /// How often.
    pub times: usize,
    /// Whether [`Action::Error`] does anything there.
    pub can_fail: bool,
}

/// The plans, by the runtime that they hold for.
static PLANS: OnceLock<Mutex<HashMap<Id, Plan>>> = OnceLock::new();
/// How many there are, for those who only want to know that there is none.
static INSTALLED: AtomicUsize = AtomicUsize::new(0);

fn plans() -> MutexGuard<'static, HashMap<Id, Plan>> {
    let plans = PLANS.get_or_init(Mutex::default);
    plans.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Plan {
    /// A plan of these rules. One without any counts what is passed.
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

    /// The plan of this process, if the environment says one.
    ///
    /// # Panics
    /// The variable holds something else.
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

    /// The plan that holds for whoever asks.
    pub(super) fn current() -> Option<Self> {
        let of_runtime = (INSTALLED.load(Ordering::Acquire) > 0)
            .then(|| plans().get(&Handle::try_current().ok()?.id()).cloned())
            .flatten();
        of_runtime.or_else(|| Self::of_process().cloned())
    }

    /// Has it hold for the runtime of the caller, until what is given is dropped.
    ///
    /// # Panics
    /// The caller is in no runtime.
    pub fn install(&self) -> Installed {
        let id = Handle::current().id();
        if plans().insert(id, self.clone()).is_none() {
            INSTALLED.fetch_add(1, Ordering::Release);
        }
        Installed(id)
    }

    /// What was passed so far.
    #[must_use]
    pub fn passed(&self) -> BTreeMap<&'static str, Passed> {
        self.lock().clone()
    }

    /// Whether every rule has happened. One that has not is for a point that was not passed so often.
    #[must_use]
    pub fn all_happened(&self) -> bool {
        self.0.happened.load(Ordering::Acquire) >= self.0.rules.len()
    }

    /// Waits until somebody [dies](Action::Die).
    pub async fn died(&self) {
        // The sender lives as long as this, so it cannot fail.
        let _ = self.0.dead.subscribe().wait_for(|dead| *dead).await;
    }

    /// Waits until somebody [stops](Action::Stop).
    pub async fn stopped(&self) {
        let _ = self.0.stopped.subscribe().wait_for(|stopped| *stopped > 0).await;
    }

    /// Has those who stopped go on, and those who will.
    pub fn go_on(&self) {
        self.0.going.send_replace(true);
    }

    /// What [`Action::Cut`] does: cuts a connection. The first to be told is the one that counts.
    pub fn on_cut(&self, cut: impl Fn() + Send + Sync + 'static) {
        let _ = self.0.cut.set(Box::new(cut));
    }

    pub(super) fn is_dead(&self) -> bool {
        *self.0.dead.borrow()
    }

    /// Counts a passing; says what is to happen.
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

/// A plan holds for a runtime until this is dropped.
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

/// Rules with commas between them.
impl FromStr for Plan {
    type Err = NoRule;

    fn from_str(text: &str) -> Result<Self, NoRule> {
        let rules = text.split(',').filter(|rule| !rule.trim().is_empty());
        let rules = rules.map(|rule| rule.trim().parse());
        rules.collect::<Result<Vec<Rule>, _>>().map(Self::new)
    }
}
