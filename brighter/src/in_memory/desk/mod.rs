//! [`InMemoryDesk`]: a desk for tests, lost with its process.

mod bulk;
mod operating;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{self, BoxFuture};

use self::state::State;
use brighter_core::desk::{
    BulkClaim, BulkEvent, BulkItem, BulkOperation, BulkState, DeadGroup, DeskError, DeskFilter, DeskId,
    DeskMessage, DeskRow, DeskStore, ItemResult, NewBulk, NewDeskMessage, OperationId, Steering, Taken,
};

/// A desk in memory, for tests: it is lost with its process. Clones share their messages.
#[derive(Debug, Clone, Default)]
pub struct InMemoryDesk(Arc<Mutex<State>>);

type StoredAnswer<'a, T> = BoxFuture<'a, Result<T, DeskError>>;

impl InMemoryDesk {
    /// Returns an empty desk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs when it is polled, as a call of a database does.
    fn call<'a, T: Send + 'a>(
        &'a self,
        call: impl FnOnce(&mut State) -> Result<T, DeskError> + Send + 'a,
    ) -> StoredAnswer<'a, T> {
        future::lazy(move |_| call(&mut self.lock())).boxed()
    }
}

impl DeskStore for InMemoryDesk {
    fn take<'a>(&'a self, messages: &'a [NewDeskMessage]) -> StoredAnswer<'a, Vec<Taken>> {
        self.call(|state| Ok(messages.iter().map(|message| state.take(message)).collect()))
    }

    fn groups(&self, limit: usize) -> StoredAnswer<'_, Vec<DeadGroup>> {
        self.call(move |state| Ok(state.groups(limit)))
    }

    fn list<'a>(
        &'a self,
        filter: &'a DeskFilter,
        before: Option<DeskId>,
        limit: usize,
    ) -> StoredAnswer<'a, Vec<DeskRow>> {
        self.call(move |state| Ok(state.list(filter, before, limit)))
    }

    fn count<'a>(&'a self, filter: &'a DeskFilter, at_most: u64) -> StoredAnswer<'a, u64> {
        self.call(move |state| {
            let most = usize::try_from(at_most).unwrap_or(usize::MAX);
            Ok(state.list(filter, None, most).len() as u64)
        })
    }

    fn read(&self, id: DeskId) -> StoredAnswer<'_, Option<DeskMessage>> {
        self.call(move |state| Ok(state.read(id)))
    }

    fn begin<'a>(&'a self, plan: &'a NewBulk) -> StoredAnswer<'a, BulkOperation> {
        self.call(|state| Ok(state.begin(plan)))
    }

    fn operations(&self, limit: usize) -> StoredAnswer<'_, Vec<BulkOperation>> {
        self.call(move |state| Ok(state.operations(limit)))
    }

    fn operation(&self, id: OperationId) -> StoredAnswer<'_, Option<BulkOperation>> {
        self.call(move |state| Ok(state.operation(id)))
    }

    fn items(&self, id: OperationId, after: Option<DeskId>, limit: usize) -> StoredAnswer<'_, Vec<BulkItem>> {
        self.call(move |state| Ok(state.items(id, after, limit)))
    }

    fn audit(&self, id: OperationId) -> StoredAnswer<'_, Vec<BulkEvent>> {
        self.call(move |state| Ok(state.audit(id)))
    }

    fn steer<'a>(&'a self, id: OperationId, steering: Steering, who: &'a str) -> StoredAnswer<'a, bool> {
        self.call(move |state| Ok(state.steer(id, steering, who)))
    }

    fn claim(&self, id: Option<OperationId>, lease: Duration) -> StoredAnswer<'_, Option<BulkClaim>> {
        self.call(move |state| Ok(state.claim(id, lease)))
    }

    fn renew(&self, claim: BulkClaim, lease: Duration) -> StoredAnswer<'_, BulkOperation> {
        self.call(move |state| state.hold(claim, lease))
    }

    fn release(&self, claim: BulkClaim) -> StoredAnswer<'_, ()> {
        self.call(move |state| {
            state.release(claim);
            Ok(())
        })
    }

    fn next(&self, claim: BulkClaim, limit: usize, lease: Duration) -> StoredAnswer<'_, Vec<DeskMessage>> {
        self.call(move |state| {
            state.hold(claim, lease)?;
            Ok(state.next(claim.operation, limit))
        })
    }

    fn record<'a>(
        &'a self,
        claim: BulkClaim,
        results: &'a [ItemResult],
        lease: Duration,
    ) -> StoredAnswer<'a, ()> {
        self.call(move |state| {
            state.hold(claim, lease)?;
            state.record(claim.operation, results);
            Ok(())
        })
    }

    fn apply(&self, claim: BulkClaim, limit: usize, lease: Duration) -> StoredAnswer<'_, u64> {
        self.call(move |state| {
            state.hold(claim, lease)?;
            Ok(state.apply(claim.operation, limit))
        })
    }

    fn settle(
        &self,
        claim: BulkClaim,
        age: Duration,
        limit: usize,
        lease: Duration,
    ) -> StoredAnswer<'_, u64> {
        self.call(move |state| {
            state.hold(claim, lease)?;
            Ok(state.settle(claim.operation, age, limit))
        })
    }

    fn pass_canary(&self, claim: BulkClaim, lease: Duration) -> StoredAnswer<'_, ()> {
        self.call(move |state| {
            state.hold(claim, lease)?;
            state.pass_canary(claim.operation);
            Ok(())
        })
    }

    fn finish<'a>(&'a self, claim: BulkClaim, to: BulkState, outcome: &'a str) -> StoredAnswer<'a, ()> {
        self.call(move |state| {
            state.hold(claim, Duration::ZERO)?;
            state.finish(claim.operation, to, outcome);
            Ok(())
        })
    }
}
