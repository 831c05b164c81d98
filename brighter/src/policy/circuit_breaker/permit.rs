//! [`Permit`]: a call that was let through.

use super::CircuitBreaker;
use super::state::Effect;

/// A call that was let through. Dropped without a verdict it counts for nothing, and its place is free.
pub(crate) struct Permit {
    /// Until it is settled.
    breaker: Option<CircuitBreaker>,
    generation: u64,
}

/// What a call says about the health of what was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Success,
    Failure,
    /// Nothing.
    None,
}

impl Permit {
    pub(super) fn new(breaker: CircuitBreaker, generation: u64) -> Self {
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
        let mut watch = Watch {
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

struct Watch<'a> {
    permit: &'a mut Permit,
    policy: &'a str,
    is_over: bool,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.permit.settle(Verdict::Failure, self.policy);
        }
    }
}
