//! [`State`]: the machine of a [`CircuitBreaker`](super::CircuitBreaker). It is told the time and asks nobody.

use std::time::Duration;

use tokio::time::Instant;

use super::settings::BreakerSettings;
use super::tally::Tally;
use crate::policy::delay;
use brighter_core::__private::clock::after;

/// Whether a [`CircuitBreaker`](super::CircuitBreaker) lets calls through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CircuitState {
    /// Calls go through.
    Closed,
    /// Calls are refused.
    Open,
    /// A few calls go through as probes; their outcome closes or opens the circuit.
    HalfOpen,
}

impl CircuitState {
    /// The number that metrics have for it.
    pub(super) fn level(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

#[derive(Debug)]
pub(super) struct State {
    circuit: Circuit,
    /// Counts the changes of state, so that the outcome of a call that began before one changes nothing.
    generation: u64,
}

#[derive(Debug)]
enum Circuit {
    Closed(Tally),
    Open { until: Instant },
    HalfOpen { running: u32, successes: u32 },
    Held(CircuitState),
}

/// The verdict of a call about the health of what was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Success,
    Failure,
    /// Nothing.
    None,
}

/// The effect of the end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    Opened,
    Closed,
}

impl State {
    pub(super) fn new(settings: &BreakerSettings, now: Instant) -> Self {
        Self {
            circuit: Circuit::Closed(Tally::new(settings, now)),
            generation: 0,
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Its generation, if calls are let through and one that does not fail changes nothing.
    pub(super) fn quiet(&self) -> Option<u64> {
        let quiet = match &self.circuit {
            Circuit::Closed(tally) => tally.forgets_successes(),
            Circuit::Held(state) => *state == CircuitState::Closed,
            Circuit::Open { .. } | Circuit::HalfOpen { .. } => false,
        };
        quiet.then_some(self.generation)
    }

    pub(super) fn seen(&self, now: Instant) -> CircuitState {
        match self.circuit {
            Circuit::Closed(_) => CircuitState::Closed,
            Circuit::Open { until } if now < until => CircuitState::Open,
            // Its time is over: the next call will see whether it may close.
            Circuit::Open { .. } | Circuit::HalfOpen { .. } => CircuitState::HalfOpen,
            Circuit::Held(state) => state,
        }
    }

    /// When it will be half open, if that is to come.
    pub(super) fn open_until(&self, now: Instant) -> Option<Instant> {
        match self.circuit {
            Circuit::Open { until } => (now < until).then_some(until),
            _ => None,
        }
    }

    /// How many more calls it would let through now; `None` if it lets through all.
    pub(super) fn room(&self, settings: &BreakerSettings, now: Instant) -> Option<u32> {
        match &self.circuit {
            Circuit::Closed(_) | Circuit::Held(CircuitState::Closed) => None,
            Circuit::Held(_) => Some(0),
            Circuit::Open { until } if now < *until => Some(0),
            Circuit::Open { .. } => Some(settings.probes),
            Circuit::HalfOpen { running, .. } => Some(settings.probes.saturating_sub(*running)),
        }
    }

    pub(super) fn is_held(&self) -> bool {
        matches!(self.circuit, Circuit::Held(_))
    }

    pub(super) fn hold(&mut self, state: CircuitState) {
        self.change(Circuit::Held(state));
    }

    pub(super) fn reset(&mut self, settings: &BreakerSettings, now: Instant) {
        self.change(Circuit::Closed(Tally::new(settings, now)));
    }

    /// Lets a call of this generation through, or says how long to wait.
    pub(super) fn admit(&mut self, settings: &BreakerSettings, now: Instant) -> Result<u64, Duration> {
        match &mut self.circuit {
            Circuit::Closed(_) | Circuit::Held(CircuitState::Closed) => {}
            Circuit::Held(_) => return Err(settings.open_for),
            Circuit::Open { until } => {
                let left = until.saturating_duration_since(now);
                if !left.is_zero() {
                    return Err(left);
                }
                self.change(Circuit::HalfOpen {
                    running: 1,
                    successes: 0,
                });
            }
            Circuit::HalfOpen { running, .. } if *running >= settings.probes => {
                return Err(settings.open_for);
            }
            Circuit::HalfOpen { running, .. } => *running += 1,
        }
        Ok(self.generation)
    }

    /// Notes how a call of this generation ended.
    pub(super) fn settle(
        &mut self,
        settings: &BreakerSettings,
        now: Instant,
        generation: u64,
        verdict: Verdict,
    ) -> Effect {
        if self.generation != generation {
            return Effect::None;
        }
        match (&mut self.circuit, verdict) {
            (Circuit::Closed(tally), Verdict::Success | Verdict::Failure) => {
                if !tally.note(verdict == Verdict::Failure, now) {
                    return Effect::None;
                }
                self.open(settings, now)
            }
            (Circuit::HalfOpen { .. }, Verdict::Failure) => self.open(settings, now),
            (Circuit::HalfOpen { running, successes }, Verdict::Success) => {
                *running = running.saturating_sub(1);
                *successes += 1;
                if *successes < settings.successes {
                    return Effect::None;
                }
                self.reset(settings, now);
                Effect::Closed
            }
            (Circuit::HalfOpen { running, .. }, Verdict::None) => {
                *running = running.saturating_sub(1);
                Effect::None
            }
            (Circuit::Closed(_) | Circuit::Open { .. } | Circuit::Held(_), _) => Effect::None,
        }
    }

    fn open(&mut self, settings: &BreakerSettings, now: Instant) -> Effect {
        let open_for = delay::spread(settings.open_for, settings.jitter);
        self.change(Circuit::Open {
            until: after(now, open_for),
        });
        Effect::Opened
    }

    fn change(&mut self, circuit: Circuit) {
        self.circuit = circuit;
        self.generation += 1;
    }
}
