//! [`TurnQueue`]: callers that a circuit has refused, and which of them may try again.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::oneshot;

use brighter_core::error::RetryTurn;

/// Callers that a circuit has refused and that wait, in the order in which they began to. Whatever changes the state of the
/// circuit gives turns to as many of them as it would let through: all when it is closed, the next probe when it is half open.
#[derive(Debug, Default)]
pub(super) struct TurnQueue {
    next: u64,
    waiting: BTreeMap<u64, oneshot::Sender<RetryTurn>>,
    /// Turns that were given for a place among the probes, and not used so far.
    given: BTreeSet<u64>,
}

/// Waiters that get a turn once the state is unlocked: dropping one locks the state again.
#[must_use]
pub(super) struct Due(pub(super) Vec<(u64, oneshot::Sender<RetryTurn>)>);

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

    /// Takes a place at the end.
    pub(super) fn enter(&mut self) -> (u64, oneshot::Receiver<RetryTurn>) {
        let (caller, turn) = oneshot::channel();
        self.next += 1;
        self.waiting.insert(self.next, caller);
        (self.next, turn)
    }

    /// Gives up a place, if it is still there.
    pub(super) fn leave(&mut self, number: u64) {
        self.waiting.remove(&number);
    }

    /// Ends a turn, if it was not used.
    pub(super) fn end(&mut self, number: u64) {
        self.given.remove(&number);
    }
}
