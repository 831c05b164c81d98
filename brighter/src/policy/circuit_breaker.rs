//! [`CircuitBreaker`]: stops calling what keeps failing.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Stops calling what keeps failing, and tries again with a single call after a time.
///
/// Clones share one state, so a breaker in a [`PolicyRegistry`](super::PolicyRegistry) is one for all who
/// name it.
///
/// The default opens after 10 failures in a row, for 5 seconds.
///
/// | state | lets through | leaves it when |
/// |---|---|---|
/// | closed | everything | the failures in a row reach the limit: open |
/// | open | nothing | its time is over: half open |
/// | half open | one call at a time | that call succeeds: closed; fails: open again |
#[derive(Clone)]
pub struct CircuitBreaker(Arc<Shared>);

struct Shared {
    failures: u32,
    open_for: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    circuit: Circuit,
    /// Counts the changes of state, so that the outcome of a call that began before one changes nothing.
    generation: u64,
}

#[derive(Debug)]
enum Circuit {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { probing: bool },
}

/// Whether a [`CircuitBreaker`] lets calls through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CircuitState {
    /// It does.
    Closed,
    /// It does not.
    Open,
    /// It lets one through to see.
    HalfOpen,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self::consecutive(10, Duration::from_secs(5))
    }
}

impl CircuitBreaker {
    /// Opens after this many failures in a row (0 is taken for 1), for this long.
    #[must_use]
    pub fn consecutive(failures: u32, open_for: Duration) -> Self {
        let state = State {
            circuit: Circuit::Closed { failures: 0 },
            generation: 0,
        };
        Self(Arc::new(Shared {
            failures: failures.max(1),
            open_for,
            state: Mutex::new(state),
        }))
    }

    /// The state it is in now.
    #[must_use]
    pub fn state(&self) -> CircuitState {
        match self.lock().circuit {
            Circuit::Closed { .. } => CircuitState::Closed,
            Circuit::Open { until } if Instant::now() < until => CircuitState::Open,
            // Its time is over: the next call will see whether it may close.
            Circuit::Open { .. } | Circuit::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a call through, or says how long the circuit stays open. While a probe runs, that is unknown: the
    /// whole time is given.
    pub(super) fn admit(&self) -> Result<Permit, Duration> {
        let mut state = self.lock();
        match &mut state.circuit {
            Circuit::Closed { .. } => {}
            Circuit::Open { until } => {
                let left = until.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    return Err(left);
                }
                state.change(Circuit::HalfOpen { probing: true });
            }
            Circuit::HalfOpen { probing: true } => return Err(self.0.open_for),
            Circuit::HalfOpen { probing } => *probing = true,
        }
        Ok(Permit {
            breaker: self.clone(),
            generation: state.generation,
        })
    }
}

impl State {
    fn change(&mut self, circuit: Circuit) {
        self.circuit = circuit;
        self.generation += 1;
    }
}

/// A call that was let through. Dropped without a verdict it counts for nothing, unless by a panic.
pub(super) struct Permit {
    breaker: CircuitBreaker,
    generation: u64,
}

enum Verdict {
    Success,
    Failure,
    None,
}

impl Permit {
    pub(super) fn succeeded(&self, policy: &str) {
        self.settle(Verdict::Success, policy);
    }

    pub(super) fn failed(&self, policy: &str) {
        self.settle(Verdict::Failure, policy);
    }

    fn settle(&self, verdict: Verdict, policy: &str) {
        let shared = &self.breaker.0;
        let mut state = self.breaker.lock();
        if state.generation != self.generation {
            return;
        }
        match (&mut state.circuit, verdict) {
            (Circuit::Closed { failures }, Verdict::Success) => *failures = 0,
            (Circuit::Closed { failures }, Verdict::Failure) => {
                *failures += 1;
                if *failures >= shared.failures {
                    state.change(Circuit::Open {
                        until: Instant::now() + shared.open_for,
                    });
                    tracing::warn!(policy, failures = shared.failures, open_for = ?shared.open_for, "circuit opened");
                }
            }
            (Circuit::HalfOpen { .. }, Verdict::Success) => {
                state.change(Circuit::Closed { failures: 0 });
                tracing::info!(policy, "circuit closed");
            }
            (Circuit::HalfOpen { .. }, Verdict::Failure) => {
                state.change(Circuit::Open {
                    until: Instant::now() + shared.open_for,
                });
                tracing::warn!(policy, open_for = ?shared.open_for, "circuit opened again");
            }
            (Circuit::HalfOpen { probing }, Verdict::None) => *probing = false,
            (Circuit::Closed { .. } | Circuit::Open { .. }, _) => {}
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // After a verdict the generation may have moved on, or the circuit is closed: either way this does
        // nothing. Before one, the place of a probe that was given up must not stay taken.
        let verdict = if std::thread::panicking() {
            Verdict::Failure
        } else {
            Verdict::None
        };
        self.settle(verdict, "");
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("failures", &self.0.failures)
            .field("open_for", &self.0.open_for)
            .field("state", &self.state())
            .finish()
    }
}

impl fmt::Display for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared {
            failures, open_for, ..
        } = &*self.0;
        write!(
            f,
            "circuit breaker, opens after {failures} failures in a row for {open_for:?}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_FOR: Duration = Duration::from_secs(5);

    fn opened() -> CircuitBreaker {
        let breaker = CircuitBreaker::consecutive(2, OPEN_FOR);
        for _ in 0..2 {
            breaker.admit().unwrap().failed("test");
        }
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn opens_after_failures_in_a_row_and_closes_after_a_probe() {
        let breaker = CircuitBreaker::consecutive(2, OPEN_FOR);
        breaker.admit().unwrap().failed("test");
        breaker.admit().unwrap().succeeded("test");
        breaker.admit().unwrap().failed("test");
        assert_eq!(breaker.state(), CircuitState::Closed);
        breaker.admit().unwrap().failed("test");
        assert_eq!(breaker.state(), CircuitState::Open);
        assert_eq!(breaker.admit().err(), Some(OPEN_FOR));

        tokio::time::advance(OPEN_FOR).await;
        let probe = breaker.admit().unwrap();
        assert!(breaker.admit().is_err(), "one probe at a time");
        probe.succeeded("test");
        assert_eq!(breaker.state(), CircuitState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_probe_opens_again() {
        let breaker = opened();
        tokio::time::advance(OPEN_FOR).await;
        breaker.admit().unwrap().failed("test");
        assert_eq!(breaker.state(), CircuitState::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_probe_makes_room_for_the_next() {
        let breaker = opened();
        tokio::time::advance(OPEN_FOR).await;
        drop(breaker.admit().unwrap());
        assert_eq!(breaker.state(), CircuitState::HalfOpen);
        breaker.admit().unwrap().succeeded("test");
        assert_eq!(breaker.state(), CircuitState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_from_before_it_opened_changes_nothing() {
        let breaker = CircuitBreaker::consecutive(1, OPEN_FOR);
        let (slow, quick) = (breaker.admit().unwrap(), breaker.admit().unwrap());
        quick.failed("test");
        slow.succeeded("test");
        assert_eq!(breaker.state(), CircuitState::Open);
    }
}
