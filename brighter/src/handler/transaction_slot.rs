//! [`TransactionSlot`]: how a transaction gets from the layer that begins it to the handler, through the context.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brighter_core::error::HandlerError;

/// A transaction in the bag of a context. One attempt at a time borrows it. Once the slot is closed, the transaction is
/// dropped, however late it comes back.
pub(crate) struct TransactionSlot {
    state: Mutex<SlotState>,
    /// Whether the handler may be called several times in this transaction, or fail in it and yet be committed: then what
    /// an attempt has done is undone before the next one.
    has_attempts: bool,
}

#[derive(Default)]
struct SlotState {
    transaction: Option<Box<dyn Any + Send>>,
    is_closed: bool,
    /// Whether there is a mark in the transaction to return to.
    is_marked: bool,
    /// Whether the last attempt has not succeeded.
    has_failed: bool,
    /// The handler's error, if it says that another transaction was in the way.
    conflict: Option<HandlerError>,
}

impl TransactionSlot {
    pub(crate) fn new(transaction: impl Any + Send, has_attempts: bool) -> Arc<Self> {
        let state = SlotState {
            transaction: Some(Box::new(transaction)),
            ..SlotState::default()
        };
        Arc::new(Self {
            state: Mutex::new(state),
            has_attempts,
        })
    }

    /// No method can panic half way, so what a poisoned lock guards is whole.
    fn state(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Borrows the transaction, if nobody has it.
    pub(crate) fn borrow(self: &Arc<Self>) -> Option<BorrowedTransaction> {
        let transaction = self.state().transaction.take()?;
        Some(BorrowedTransaction {
            slot: Arc::clone(self),
            transaction: Some(transaction),
        })
    }

    /// Takes the transaction for good, if nobody has it and it is a `T`.
    pub(crate) fn take<T: Any + Send>(&self) -> Option<T> {
        let transaction = {
            let mut state = self.state();
            state.is_closed = true;
            state.transaction.take()
        };
        let transaction = transaction.and_then(|transaction| transaction.downcast().ok());
        transaction.map(|transaction| *transaction)
    }

    /// Drops the transaction, now or when it comes back.
    pub(crate) fn close(&self) {
        let transaction = {
            let mut state = self.state();
            state.is_closed = true;
            state.transaction.take()
        };
        drop(transaction);
    }

    pub(crate) fn has_attempts(&self) -> bool {
        self.has_attempts
    }

    /// Notes that an attempt begins. Returns whether there is a mark to return to.
    pub(crate) fn begin_attempt(&self) -> bool {
        let mut state = self.state();
        state.has_failed = true;
        std::mem::replace(&mut state.is_marked, true)
    }

    pub(crate) fn attempt_succeeded(&self) {
        self.state().has_failed = false;
    }

    /// Whether what the last attempt did must be undone before the commit.
    pub(crate) fn must_undo(&self) -> bool {
        let state = self.state();
        state.is_marked && state.has_failed
    }

    pub(crate) fn set_conflict(&self, error: HandlerError) {
        self.state().conflict = Some(error);
    }

    pub(crate) fn take_conflict(&self) -> Option<HandlerError> {
        self.state().conflict.take()
    }
}

impl fmt::Debug for TransactionSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionSlot")
            .field("is_closed", &self.state().is_closed)
            .finish_non_exhaustive()
    }
}

/// A transaction that one attempt has. It goes back to its slot when this is dropped, also if the attempt is cancelled.
pub(crate) struct BorrowedTransaction {
    slot: Arc<TransactionSlot>,
    /// Nothing only once it is dropped.
    transaction: Option<Box<dyn Any + Send>>,
}

impl BorrowedTransaction {
    /// Returns the transaction, if it is a `T`.
    pub(crate) fn get<T: Any>(&mut self) -> Option<&mut T> {
        self.transaction.as_deref_mut()?.downcast_mut()
    }
}

impl Drop for BorrowedTransaction {
    fn drop(&mut self) {
        let Some(transaction) = self.transaction.take() else {
            return;
        };
        let mut state = self.slot.state();
        if state.is_closed {
            // Not while the lock is held: its end may run code of others.
            drop(state);
            drop(transaction);
        } else {
            state.transaction = Some(transaction);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts how often it is dropped.
    struct Ending(Arc<Mutex<u32>>);

    impl Drop for Ending {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }

    #[test]
    fn a_transaction_that_comes_back_late_ends_then() {
        let ended = Arc::new(Mutex::new(0));
        let slot = TransactionSlot::new(Ending(Arc::clone(&ended)), false);
        let mut borrowed = slot.borrow().unwrap();
        assert!(slot.borrow().is_none(), "one attempt has it");
        assert!(borrowed.get::<Ending>().is_some() && borrowed.get::<u8>().is_none());
        slot.close();
        assert_eq!(*ended.lock().unwrap(), 0);
        drop(borrowed);
        assert_eq!(*ended.lock().unwrap(), 1);
        assert!(slot.borrow().is_none());
    }

    #[test]
    fn a_transaction_returned_in_time_serves_the_next_attempt() {
        let ended = Arc::new(Mutex::new(0));
        let slot = TransactionSlot::new(Ending(Arc::clone(&ended)), true);
        assert!(!slot.must_undo());
        assert!(!slot.begin_attempt(), "nothing is marked before the first");
        drop(slot.borrow().unwrap());
        assert!(slot.must_undo() && slot.begin_attempt());
        slot.attempt_succeeded();
        assert!(!slot.must_undo());
        assert_eq!(*ended.lock().unwrap(), 0);
        assert!(slot.take::<Ending>().is_some());
        assert_eq!(*ended.lock().unwrap(), 1);
    }
}
