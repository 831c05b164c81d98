//! The [`Link`] to a faulty broker: whether there is a connection, and what was lent over it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use brighter_core::channel::{ChannelError, Settle};

/// Whether there is a connection, and what was lent over it.
#[derive(Default)]
pub(super) struct Link {
    state: Mutex<State>,
    /// Which connection it is, to tell consumers that theirs is gone.
    generation: watch::Sender<u64>,
    /// Whether consumers get nothing for now.
    held: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    is_down: bool,
    next: u64,
    /// The settler of each delivery, in the order of the deliveries.
    loans: BTreeMap<u64, Box<dyn Settle>>,
}

pub(super) fn disconnected() -> ChannelError {
    ChannelError::Disconnected("the connection is lost".into())
}

impl Link {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_up(&self) -> bool {
        !self.lock().is_down
    }

    /// Which connection it is; an error, if there is none.
    pub(super) fn generation(&self) -> Result<u64, ChannelError> {
        if self.is_up() {
            Ok(*self.generation.borrow())
        } else {
            Err(disconnected())
        }
    }

    /// Waits until this connection is gone.
    pub(super) async fn lost(&self, generation: u64) {
        // The sender lives as long as this, so it cannot fail.
        let mut changes = self.generation.subscribe();
        let _ = changes.wait_for(|current| *current != generation).await;
    }

    /// Waits until consumers may get something.
    pub(super) async fn free(&self) {
        let mut changes = self.held.subscribe();
        let _ = changes.wait_for(|held| !held).await;
    }

    pub(super) fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    pub(super) fn lose(&self) {
        let loans = {
            let mut state = self.lock();
            state.is_down = true;
            self.generation.send_modify(|generation| *generation += 1);
            std::mem::take(&mut state.loans)
        };
        // Each goes to the front, so the first comes last.
        loans.into_values().rev().for_each(Settle::release);
    }

    pub(super) fn restore(&self) {
        self.lock().is_down = false;
    }

    /// Notes a delivery, and gives it a number; gives it back if the connection is gone.
    pub(super) fn lend(&self, generation: u64, settle: Box<dyn Settle>) -> Option<u64> {
        let mut state = self.lock();
        if *self.generation.borrow() != generation {
            drop(state);
            settle.release();
            return None;
        }
        state.next += 1;
        let number = state.next;
        state.loans.insert(number, settle);
        Some(number)
    }

    /// Takes the settler of the delivery, unless the connection was lost or it was taken before.
    pub(super) fn take(&self, number: u64) -> Option<Box<dyn Settle>> {
        self.lock().loans.remove(&number)
    }

    pub(super) fn has(&self, number: u64) -> bool {
        self.lock().loans.contains_key(&number)
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.lock();
        f.debug_struct("Link")
            .field("is_down", &state.is_down)
            .field("loans", &state.loans.len())
            .finish()
    }
}
