//! [`CircuitBreaker`]: stops calling what keeps failing.

mod changes;
#[cfg(feature = "config")]
mod configure;
mod permit;
mod settings;
mod state;
mod tally;
mod turn_queue;
mod turns;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

pub use changes::CircuitChanges;
pub(crate) use permit::Permit;
pub use settings::SlidingWindow;
use settings::{BreakerSettings, Trips};
pub use state::CircuitState;
use state::State;
pub(crate) use state::Verdict;
use turn_queue::TurnQueue;

use crate::telemetry::metrics::CircuitMetrics;
use brighter_core::error::{HandlerError, InvalidSetting};

/// Stops calling what keeps failing, and tries again with a few calls after a time.
///
/// Clones share one state, so a breaker in a [`PolicyRegistry`](super::PolicyRegistry) is one for all who
/// name it. Settings come before clones: a method that sets one makes a breaker with a state of its own.
///
/// | state | lets through | leaves it when |
/// |---|---|---|
/// | closed | everything | too much fails: open |
/// | open | nothing | its time is over: half open |
/// | half open | a few calls at a time, the probes | enough of them succeed: closed; one fails: open again |
///
/// What is let through and fails counts, if it may get better ([`HandlerError::is_retryable`]) and
/// [`when`](Self::when) says so; a panic counts in any case. Other errors, such as what a handler asks of the
/// pump, say nothing about the health of what was called: they are no success and no failure. A call that is
/// dropped before its end counts for nothing and frees its place, and one that began before the state last
/// changed has no say in what it is now.
///
/// | | default | set by |
/// |---|---|---|
/// | opens after | 10 failures in a row | [`consecutive`](Self::consecutive), [`failure_rate`](Self::failure_rate), [`minimum_calls`](Self::minimum_calls) |
/// | for | 5 seconds, exactly | the same, and [`jitter`](Self::jitter) |
/// | probes | one at a time | [`probes`](Self::probes) |
/// | closes after | one success | [`closes_after`](Self::closes_after) |
/// | which errors | all that may get better | [`when`](Self::when) |
///
/// ```
/// use std::time::Duration;
/// use brighter::policy::{CircuitBreaker, CircuitState, PolicyRegistry, SlidingWindow};
///
/// let half_of_a_minute = SlidingWindow::Time(Duration::from_secs(60));
/// let mail = CircuitBreaker::failure_rate(0.5, half_of_a_minute, Duration::from_secs(30))
///     .minimum_calls(20)
///     .probes(3)
///     .closes_after(5);
/// let policies = PolicyRegistry::default().insert("mail", mail.clone());
///
/// // An operator's switch:
/// mail.force_open();
/// assert_eq!(mail.state(), CircuitState::Open);
/// mail.reset();
/// assert_eq!(mail.state(), CircuitState::Closed);
/// ```
#[derive(Clone)]
pub struct CircuitBreaker(Arc<Shared>);

struct Shared {
    settings: BreakerSettings,
    guarded: Mutex<Guarded>,
    /// The generation of the state, while it is one in which a call that does not fail is let through and changes
    /// nothing; else [`NOT_QUIET`]. As long as all goes well nobody locks the state or looks at the clock.
    quiet: AtomicU64,
    /// Tells of every change of state; which one is read from the state.
    changed: watch::Sender<()>,
    metrics: CircuitMetrics,
}

#[derive(Debug)]
struct Guarded {
    state: State,
    /// Callers that were refused and wait to try again.
    turns: TurnQueue,
}

/// No generation that there will ever be.
const NOT_QUIET: u64 = u64::MAX;

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self::consecutive(10, Duration::from_secs(5))
    }
}

impl CircuitBreaker {
    /// Opens after this many failures in a row, for this long.
    #[must_use]
    pub fn consecutive(failures: u32, open_timeout: Duration) -> Self {
        Self::build(BreakerSettings::new(Trips::Consecutive(failures), open_timeout))
    }

    /// Opens when at least this share of the calls in the window failed (0.5 is half of them; at least a
    /// millionth, at most 1.0), for this long; but not before the window has seen
    /// [`minimum_calls`](Self::minimum_calls), which is 10 unless set.
    #[must_use]
    pub fn failure_rate(rate: f64, window: SlidingWindow, open_timeout: Duration) -> Self {
        Self::build(BreakerSettings::new(Trips::Rate { rate, window }, open_timeout))
    }

    /// Ignores the failure rate until the window has seen this many calls. A window by calls that is
    /// shorter than this is enough when it is full.
    #[must_use]
    pub fn minimum_calls(self, calls: u32) -> Self {
        self.with(|settings| settings.minimum_calls = calls)
    }

    /// Half open, lets this many calls through at a time.
    #[must_use]
    pub fn probes(self, at_a_time: u32) -> Self {
        self.with(|settings| settings.probes = at_a_time)
    }

    /// Half open, closes after this many successes.
    #[must_use]
    pub fn closes_after(self, successes: u32) -> Self {
        self.with(|settings| settings.successes = successes)
    }

    /// Spreads the time it is open at random by this share of it either way, from 0.0 to 1.0, so that many
    /// processes do not probe together.
    #[must_use]
    pub fn jitter(self, share: f64) -> Self {
        self.with(|settings| settings.jitter = share)
    }

    /// Counts only errors for which this is true. It is asked only of errors that may get better
    /// ([`HandlerError::is_retryable`]), so it can take from those and add nothing.
    #[must_use]
    pub fn when(self, counts: fn(&HandlerError) -> bool) -> Self {
        self.with(|settings| settings.when = Some(counts))
    }

    pub(super) fn invalid(&self) -> Vec<InvalidSetting> {
        self.0.settings.invalid()
    }

    fn with(self, set: impl FnOnce(&mut BreakerSettings)) -> Self {
        let mut settings = self.0.settings.clone();
        set(&mut settings);
        Self::build(settings)
    }

    fn build(settings: BreakerSettings) -> Self {
        let state = State::new(&settings, Instant::now());
        Self(Arc::new(Shared {
            quiet: AtomicU64::new(state.quiet().unwrap_or(NOT_QUIET)),
            guarded: Mutex::new(Guarded {
                state,
                turns: TurnQueue::default(),
            }),
            settings,
            changed: watch::Sender::new(()),
            metrics: CircuitMetrics::default(),
        }))
    }

    /// The state it is in now.
    #[must_use]
    pub fn state(&self) -> CircuitState {
        self.act(|state, _, now| state.seen(now))
    }

    /// How long it stays open; `None` if it is not, or if it is [held open](Self::force_open) and nobody
    /// knows.
    #[must_use]
    pub fn open_for(&self) -> Option<Duration> {
        self.act(|state, _, now| state.open_until(now).map(|until| until - now))
    }

    /// Opens it and holds it open until [`reset`](Self::reset): an operator's switch.
    pub fn force_open(&self) {
        self.act(|state, _, _| state.hold(CircuitState::Open));
    }

    /// Closes it and holds it closed until [`reset`](Self::reset), whatever fails.
    pub fn force_closed(&self) {
        self.act(|state, _, _| state.hold(CircuitState::Closed));
    }

    /// Closes it, forgets every failure, and lets it go if it was held.
    pub fn reset(&self) {
        self.act(State::reset);
    }

    /// Whether it is held open or closed.
    #[must_use]
    pub fn is_forced(&self) -> bool {
        self.act(|state, _, _| state.is_held())
    }

    /// Whether a call of this generation that did not fail changes nothing: as if it had ended just before a change
    /// that comes now.
    fn is_quiet(&self, generation: u64) -> bool {
        self.0.quiet.load(Ordering::Acquire) == generation
    }

    /// A policy of this name uses it: its state is to be seen under that.
    pub(super) fn is_used_as(&self, policy: &str) {
        self.act(|state, _, now| self.0.metrics.known_as(policy, state.seen(now).level()));
    }

    /// Whether this error is a failure of what was called.
    pub(super) fn counts(&self, error: &HandlerError) -> bool {
        error.is_retryable() && self.0.settings.when.is_none_or(|when| when(error))
    }

    fn act<T>(&self, act: impl FnOnce(&mut State, &BreakerSettings, Instant) -> T) -> T {
        self.act_on(|guarded, settings, now| act(&mut guarded.state, settings, now))
    }

    /// The only way to the state: locks it for as long as this takes, tells of a change, and gives turns to those that wait
    /// for what it is now.
    fn act_on<T>(&self, act: impl FnOnce(&mut Guarded, &BreakerSettings, Instant) -> T) -> T {
        let mut guarded = self.0.guarded.lock().unwrap_or_else(PoisonError::into_inner);
        let before = guarded.state.generation();
        let now = Instant::now();
        let result = act(&mut guarded, &self.0.settings, now);
        let Guarded { state, turns } = &mut *guarded;
        let is_changed = state.generation() != before;
        // Under the lock, so that the last change is the one that is seen.
        let quiet = state.quiet().unwrap_or(NOT_QUIET);
        self.0.quiet.store(quiet, Ordering::Release);
        if is_changed {
            self.0.metrics.is_now(state.seen(now).level());
        }
        let due = turns.due(state.room(&self.0.settings, now));
        drop(guarded);
        if is_changed {
            self.0.changed.send_replace(());
        }
        self.give(due);
        result
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("settings", &self.0.settings)
            .field("state", &self.state())
            .finish()
    }
}

impl fmt::Display for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.settings.fmt(f)
    }
}
