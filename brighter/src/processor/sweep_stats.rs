//! [`SweepStats`]: how the last sweeps went.

use std::sync::{Mutex, MutexGuard, PoisonError};

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
    /// When the sweeper last did anything.
    seen: Instant,
    failing: Option<(Instant, String)>,
}

/// The statistics of the last sweeps.
#[derive(Debug)]
pub(super) struct LastSweeps {
    /// When a sweep last got to the end of the outbox.
    pub(super) complete: Instant,
    /// When the sweeper last did anything.
    pub(super) seen: Instant,
    /// Since when and why sweeps fail.
    pub(super) failing: Option<(Instant, String)>,
}

impl SweepStats {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            state: Mutex::new(State {
                complete: now,
                seen: now,
                failing: None,
            }),
        }
    }

    /// The sweeper is at work.
    pub(super) fn seen(&self) {
        self.with(|_| ());
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

    /// Returns what is known of the last sweeps.
    pub(super) fn read(&self) -> LastSweeps {
        let state = self.lock();
        LastSweeps {
            complete: state.complete,
            seen: state.seen,
            failing: state.failing.clone(),
        }
    }

    fn with(&self, act: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        state.seen = Instant::now();
        act(&mut state);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
