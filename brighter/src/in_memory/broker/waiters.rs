//! The [`Waiters`] of a queue: consumers that found nothing, the one that waits longest first.

use std::collections::BTreeMap;
use std::task::Waker;

/// Consumers that found nothing. A message wakes one of them, for to wake a thousand costs more than the
/// message; so a waiter that is woken and will not look must pass the wake-up on.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    waiting: BTreeMap<u64, Waiter>,
    next: u64,
}

#[derive(Debug)]
struct Waiter {
    consumer: u64,
    waker: Waker,
}

/// A place among the waiters; one that is no longer there was woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WaiterTicket(u64);

impl Waiters {
    /// Takes a place, or keeps the one it has with a new waker.
    pub(super) fn wait(
        &mut self,
        ticket: Option<WaiterTicket>,
        consumer: u64,
        waker: &Waker,
    ) -> WaiterTicket {
        if let Some(ticket) = ticket
            && let Some(waiting) = self.waiting.get_mut(&ticket.0)
        {
            waiting.waker.clone_from(waker);
            return ticket;
        }
        self.next += 1;
        let waker = waker.clone();
        self.waiting.insert(self.next, Waiter { consumer, waker });
        WaiterTicket(self.next)
    }

    /// Gives the place up; whether it was still there.
    pub(super) fn leave(&mut self, ticket: WaiterTicket) -> bool {
        self.waiting.remove(&ticket.0).is_some()
    }

    /// The one to wake: the first, or of one consumer alone the only one that may have a message.
    pub(super) fn next(&mut self, only: Option<u64>) -> Option<Waker> {
        let first = match only {
            None => self.waiting.pop_first(),
            Some(only) => {
                let mut waiting = self.waiting.iter();
                let ticket = *waiting.find(|(_, waiting)| waiting.consumer == only)?.0;
                self.waiting.remove_entry(&ticket)
            }
        };
        first.map(|(_, waiting)| waiting.waker)
    }

    /// All of them.
    pub(super) fn all(&mut self) -> Vec<Waker> {
        let waiting = std::mem::take(&mut self.waiting);
        waiting.into_values().map(|waiting| waiting.waker).collect()
    }
}
