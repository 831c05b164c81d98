//! [`Permit`]: a call that was let through.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::state::{Effect, State, Verdict};
use super::{CircuitBreaker, NOT_QUIET};

/// A call that was let through. Dropped without a verdict it counts for nothing, and its place is free.
pub(crate) struct Permit {
    /// Until it is settled.
    breaker: Option<CircuitBreaker>,
    generation: u64,
}

impl CircuitBreaker {
    /// Lets a call through, or says how long the circuit stays open. While probes run or it is held open, that
    /// is unknown: the whole time is given.
    pub(crate) fn admit(&self) -> Result<Permit, Duration> {
        let generation = match self.0.quiet.load(Ordering::Acquire) {
            NOT_QUIET => self.act(State::admit)?,
            quiet => quiet,
        };
        Ok(Permit::new(self.clone(), generation))
    }
}

impl Permit {
    fn new(breaker: CircuitBreaker, generation: u64) -> Self {
        Self {
            breaker: Some(breaker),
            generation,
        }
    }

    /// Settles it by this result; the first time only.
    pub(in crate::policy) fn settle_by<T>(
        &mut self,
        result: &Result<T, brighter_core::error::HandlerError>,
        policy: &str,
    ) {
        let verdict = match (result, &self.breaker) {
            (Ok(_), _) => Verdict::Success,
            (Err(error), Some(breaker)) if breaker.counts(error) => Verdict::Failure,
            (Err(_), _) => Verdict::None,
        };
        self.settle(verdict, policy);
    }

    /// Does this as part of the call. If it panics, the call failed.
    ///
    /// The future of a call outlives its panic, so what is dropped with it learns nothing of that.
    pub(in crate::policy) fn watch<T>(&mut self, policy: &str, act: impl FnOnce() -> T) -> T {
        let mut watch = ProbeWatch {
            permit: self,
            policy,
            is_over: false,
        };
        let result = act();
        watch.is_over = true;
        result
    }

    pub(crate) fn settle(&mut self, verdict: Verdict, policy: &str) {
        let Some(breaker) = self.breaker.take() else {
            return;
        };
        let generation = self.generation;
        if verdict != Verdict::Failure && breaker.is_quiet(generation) {
            return;
        }
        match breaker.act(|state, settings, now| state.settle(settings, now, generation, verdict)) {
            Effect::Opened => {
                tracing::warn!(policy, open_for = ?breaker.0.settings.open_for, "circuit opened");
            }
            Effect::Closed => {
                tracing::info!(policy, "circuit closed");
            }
            Effect::None => {}
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.settle(Verdict::None, "");
    }
}

struct ProbeWatch<'a> {
    permit: &'a mut Permit,
    policy: &'a str,
    is_over: bool,
}

impl Drop for ProbeWatch<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.permit.settle(Verdict::Failure, self.policy);
        }
    }
}
