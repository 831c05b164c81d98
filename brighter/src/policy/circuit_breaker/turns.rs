//! [`TurnQueue`]: callers that a circuit has refused, and which of them may try again.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;

use tokio::sync::oneshot;
use tokio::time::sleep_until;

use super::CircuitBreaker;
use brighter_core::error::{RetrySignal, RetryTurn};

/// Callers that a circuit has refused and that wait, in the order in which they began to. Whatever changes the state of the
/// circuit gives turns to as many of them as it would let through: all when it is closed, the next probe when it is half open.
#[derive(Debug, Default)]
pub(super) struct TurnQueue {
    next: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Turn>>,
    /// Turns that were given for a place among the probes, and not used so far.
    given: BTreeSet<u64>,
}

/// A turn to try again. Dropped unused, it goes to the next caller.
#[derive(Debug)]
pub(super) struct Turn {
    breaker: CircuitBreaker,
    number: u64,
}

/// A place in the queue, which is given up with it.
struct Place<'a> {
    breaker: &'a CircuitBreaker,
    number: u64,
}

/// Who is to get a turn, once the state is no longer locked: what is dropped then locks it again.
#[must_use]
pub(super) struct Due(Vec<(u64, oneshot::Sender<Turn>)>);

impl TurnQueue {
    /// Takes out those that may try again: as many as there is room for, without a limit if that is `None`.
    pub(super) fn due(&mut self, room: Option<u32>) -> Due {
        if self.waiting.is_empty() && self.given.is_empty() {
            return Due(Vec::new());
        }
        let Some(room) = room else {
            self.given.clear();
            return Due(std::mem::take(&mut self.waiting).into_iter().collect());
        };
        let room = room as usize;
        // Every call that is let through takes a place, and each place that is gone ends a turn.
        while self.given.len() > room {
            self.given.pop_first();
        }
        let mut due = Vec::new();
        while self.given.len() < room
            && let Some((number, caller)) = self.waiting.pop_first()
        {
            self.given.insert(number);
            due.push((number, caller));
        }
        Due(due)
    }

    fn enter(&mut self) -> (u64, oneshot::Receiver<Turn>) {
        let (caller, turn) = oneshot::channel();
        self.next += 1;
        self.waiting.insert(self.next, caller);
        (self.next, turn)
    }
}

impl Due {
    pub(super) fn give(self, breaker: &CircuitBreaker) {
        for (number, caller) in self.0 {
            let breaker = breaker.clone();
            // A caller that has gone drops it, and the next one gets it.
            let _ = caller.send(Turn { breaker, number });
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.breaker
            .act_on(|guarded, _, _| guarded.turns.given.remove(&self.number));
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.breaker
            .act_on(|guarded, _, _| guarded.turns.waiting.remove(&self.number));
    }
}

impl CircuitBreaker {
    /// Tells a caller that was refused when it may try again.
    pub(in crate::policy) fn retry_signal(&self) -> RetrySignal {
        let breaker = self.clone();
        RetrySignal::new(move || breaker.clone().turn())
    }

    async fn turn(self) -> RetryTurn {
        let mut changed = self.0.changed.subscribe();
        let (number, mut turn) = self.act_on(|guarded, _, _| guarded.turns.enter());
        let _place = Place {
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
                turn = &mut turn => return turn.map_or_else(|_| RetryTurn::untracked(), RetryTurn::new),
                // It may be open again, for another time.
                _ = changed.changed() => {}
                // No call tells the circuit that its time is over, so this does.
                () = time_is_over => {}
            }
        }
    }
}
