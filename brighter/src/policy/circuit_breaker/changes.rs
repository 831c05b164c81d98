//! [`CircuitChanges`]: a breaker, watched.

use std::fmt;
use std::future::pending;

use tokio::sync::watch;

use super::{CircuitBreaker, CircuitState};

/// Tells of the changes of a [`CircuitBreaker`]'s state, from [`changes`](CircuitBreaker::changes).
///
/// ```
/// # use std::time::Duration;
/// # use brighter::policy::{CircuitBreaker, CircuitState};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let breaker = CircuitBreaker::default();
/// let mut changes = breaker.changes();
/// breaker.force_open();
/// assert_eq!(changes.next().await, CircuitState::Open);
/// # }
/// ```
pub struct CircuitChanges {
    breaker: CircuitBreaker,
    changed: watch::Receiver<()>,
    seen: CircuitState,
}

impl CircuitBreaker {
    /// Tells of changes of its state from now on.
    #[must_use]
    pub fn changes(&self) -> CircuitChanges {
        CircuitChanges::new(self.clone(), self.0.changed.subscribe())
    }
}

impl CircuitChanges {
    fn new(breaker: CircuitBreaker, changed: watch::Receiver<()>) -> Self {
        let seen = breaker.state();
        Self {
            breaker,
            changed,
            seen,
        }
    }

    /// Waits until the state is another than this last told, or than it was at the beginning, and tells which.
    /// That an open circuit is half open because its time is over counts, though nobody has called yet.
    ///
    /// What came and went between two calls of this is not told. Dropping the future loses nothing.
    pub async fn next(&mut self) -> CircuitState {
        loop {
            // First this, then the state: a change in between is told of twice, not never.
            self.changed.mark_unchanged();
            let (state, until) = self
                .breaker
                .act(|state, _, now| (state.seen(now), state.open_until(now)));
            if state != self.seen {
                self.seen = state;
                return state;
            }
            let time_is_over = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                // The breaker is held, so there is always somebody to tell of a change.
                _ = self.changed.changed() => {}
                () = time_is_over => {}
            }
        }
    }

    /// The breaker that this watches.
    #[must_use]
    pub fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }
}

impl fmt::Debug for CircuitChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitChanges")
            .field("breaker", &self.breaker)
            .field("seen", &self.seen)
            .finish()
    }
}
