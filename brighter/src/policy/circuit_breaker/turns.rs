//! How a [`CircuitBreaker`] tells callers that it has refused when to try again.

use std::future::pending;

use tokio::time::sleep_until;

use super::CircuitBreaker;
use super::turn_queue::Due;
use brighter_core::error::{RetrySignal, RetryTurn};

/// A turn to try again. Dropped unused, it goes to the next caller.
#[derive(Debug)]
struct Turn {
    breaker: CircuitBreaker,
    number: u64,
}

/// A place in the queue, which is given up with it.
struct TurnGuard<'a> {
    breaker: &'a CircuitBreaker,
    number: u64,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.breaker
            .act_on(|guarded, _, _| guarded.turns.end(self.number));
    }
}

impl Drop for TurnGuard<'_> {
    fn drop(&mut self) {
        self.breaker
            .act_on(|guarded, _, _| guarded.turns.leave(self.number));
    }
}

impl CircuitBreaker {
    /// Tells a caller that was refused when it may try again.
    pub(in crate::policy) fn retry_signal(&self) -> RetrySignal {
        let breaker = self.clone();
        RetrySignal::new(move || breaker.clone().turn())
    }

    /// Gives turns to these. The state must not be locked.
    pub(super) fn give(&self, due: Due) {
        for (number, caller) in due.0 {
            let breaker = self.clone();
            // A caller that has gone drops it, and the next one gets it.
            let _ = caller.send(RetryTurn::new(Turn { breaker, number }));
        }
    }

    async fn turn(self) -> RetryTurn {
        let mut changed = self.0.changed.subscribe();
        let (number, mut turn) = self.act_on(|guarded, _, _| guarded.turns.enter());
        let _place = TurnGuard {
            breaker: &self,
            number,
        };
        loop {
            // First this, then the state: a change in between is told of twice, not never.
            changed.mark_unchanged();
            let until = self.act(|state, _, now| state.open_until(now));
            let time_is_over = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                turn = &mut turn => return turn.unwrap_or_else(|_| RetryTurn::untracked()),
                // It may be open again, for another time.
                _ = changed.changed() => {}
                // No call tells the circuit that its time is over, so this does.
                () = time_is_over => {}
            }
        }
    }
}
