//! [`SweepStats`]: how the last sweeps went.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// How the last sweeps went.
#[derive(Debug)]
pub(super) struct SweepStats {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When a sweep last got to the end of the outbox; at first, when this was made.
    complete: Instant,
    failing: Option<(Instant, String)>,
}

impl SweepStats {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                complete: Instant::now(),
                failing: None,
            }),
        }
    }

    /// A sweep got to the end of the outbox.
    pub(super) fn complete(&self) {
        self.with(|state| {
            state.complete = Instant::now();
            state.failing = None;
        });
    }

    /// A sweep ended early, for the broker is away, which the broker tells itself.
    pub(super) fn cut_short(&self) {
        self.with(|state| state.failing = None);
    }

    /// A sweep failed.
    pub(super) fn failed(&self, reason: String) {
        self.with(|state| {
            let since = state.failing.take().map_or_else(Instant::now, |(since, _)| since);
            state.failing = Some((since, reason));
        });
    }

    /// Returns when a sweep last got to the end of the outbox, and since when and why sweeps fail.
    pub(super) fn read(&self) -> (Instant, Option<(Instant, String)>) {
        self.with(|state| (state.complete, state.failing.clone()))
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
