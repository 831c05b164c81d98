//! [`DeskStore`]: the table of a desk, and its operations.

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::{
    BulkClaim, BulkEvent, BulkItem, BulkOperation, BulkState, DeadGroup, DeskError, DeskFilter, DeskId,
    DeskMessage, DeskRow, ItemResult, NewBulk, NewDeskMessage, OperationId, Steering, Taken,
};

/// The result of a call of a [`DeskStore`].
type DeskResult<'a, T> = BoxFuture<'a, Result<T, DeskError>>;

/// Keeps dead letters and invalid messages, and the operations on them.
///
/// All methods are atomic: after an error nothing has changed. Any number of processes may share a store. Times are those
/// of the store's own clock, but for the time of a death, which a rejection may tell.
///
/// A later version adds only methods with a default.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the store of a desk",
    label = "does not implement `DeskStore`",
    note = "pass `InMemoryDesk`, `SqliteDesk`, `PostgresDesk` or `MySqlDesk`, or implement `brighter::desk::DeskStore`"
)]
pub trait DeskStore: Send + Sync + 'static {
    /// Keeps messages, and returns for each whether it is new. A message whose [`death`](NewDeskMessage::death) is there
    /// changes nothing. A message whose [`key`](NewDeskMessage::key) is there has died again: the row notes the death and
    /// [waits](super::DeskState::Waiting) again, and an operation that had sent it knows that it came back.
    ///
    /// # Errors
    /// See [`DeskError`].
    fn take<'a>(&'a self, messages: &'a [NewDeskMessage]) -> DeskResult<'a, Vec<Taken>>;

    /// Returns the groups with messages that wait, those with the most first.
    ///
    /// # Errors
    /// See [`DeskError`].
    fn groups(&self, limit: usize) -> DeskResult<'_, Vec<DeadGroup>>;

    /// Returns the rows that a filter chooses, the newest first. `before` is the last row of the page before.
    ///
    /// # Errors
    /// See [`DeskError`].
    fn list<'a>(
        &'a self,
        filter: &'a DeskFilter,
        before: Option<DeskId>,
        limit: usize,
    ) -> DeskResult<'a, Vec<DeskRow>>;

    /// Returns the number of rows that a filter chooses, counted up to `at_most`.
    ///
    /// # Errors
    /// See [`DeskError`].
    fn count<'a>(&'a self, filter: &'a DeskFilter, at_most: u64) -> DeskResult<'a, u64>;

    /// Returns one message, or `None` if there is no such row.
    ///
    /// # Errors
    /// See [`DeskError`].
    fn read(&self, id: DeskId) -> DeskResult<'_, Option<DeskMessage>>;

    /// Begins an operation: freezes the list of its messages, the oldest first. Messages that come later are not among
    /// them. The plan is [valid](NewBulk::validate).
    ///
    /// # Errors
    /// See [`DeskError`].
    fn begin<'a>(&'a self, plan: &'a NewBulk) -> DeskResult<'a, BulkOperation>;

    /// Returns operations, the newest first.
    ///
    /// # Errors
    /// See [`DeskError`].
    fn operations(&self, limit: usize) -> DeskResult<'_, Vec<BulkOperation>>;

    /// Returns one operation, or `None` if there is none of this id.
    ///
    /// # Errors
    /// See [`DeskError`].
    fn operation(&self, id: OperationId) -> DeskResult<'_, Option<BulkOperation>>;

    /// Returns the messages of an operation by their rows, from the one after `after` on.
    ///
    /// # Errors
    /// See [`DeskError`].
    fn items(&self, id: OperationId, after: Option<DeskId>, limit: usize) -> DeskResult<'_, Vec<BulkItem>>;

    /// Returns the audit of an operation, the oldest entry first.
    ///
    /// # Errors
    /// See [`DeskError`].
    fn audit(&self, id: OperationId) -> DeskResult<'_, Vec<BulkEvent>>;

    /// Stops an operation, or lets it go on, and notes who did. Returns `false` if there is nothing to change: it has
    /// ended, or is in that state.
    ///
    /// # Errors
    /// See [`DeskError`].
    fn steer<'a>(&'a self, id: OperationId, steering: Steering, who: &'a str) -> DeskResult<'a, bool>;

    /// Claims a running operation that no other process has, this one or the oldest of all.
    ///
    /// # Errors
    /// See [`DeskError`].
    fn claim(&self, id: Option<OperationId>, lease: Duration) -> DeskResult<'_, Option<BulkClaim>>;

    /// Renews the lease of a claim, and returns the operation as it is now. Each of the other calls with a claim renews
    /// it too.
    ///
    /// # Errors
    /// Returns [`DeskError::LeaseLost`] if another process has claimed the operation meanwhile.
    fn renew(&self, claim: BulkClaim, lease: Duration) -> DeskResult<'_, BulkOperation>;

    /// Gives up a claim, so that another process can continue at once. Does nothing if the claim is lost.
    ///
    /// # Errors
    /// See [`DeskError`]. The claim ends with its lease.
    fn release(&self, claim: BulkClaim) -> DeskResult<'_, ()>;

    /// Returns the next messages to send, and marks them and their rows as being sent. Those that a process has left so
    /// marked come first. A message that is no longer waiting or archived is skipped.
    ///
    /// # Errors
    /// See [`DeskError`].
    fn next(&self, claim: BulkClaim, limit: usize, lease: Duration) -> DeskResult<'_, Vec<DeskMessage>>;

    /// Records which messages were sent, and which failed and wait again. For a verb that is not
    /// [watched](super::BulkVerb::is_watched), those that were sent are done, and their rows archived.
    ///
    /// # Errors
    /// See [`DeskError`].
    fn record<'a>(
        &'a self,
        claim: BulkClaim,
        results: &'a [ItemResult],
        lease: Duration,
    ) -> DeskResult<'a, ()>;

    /// Archives or deletes the next messages, and returns how many had their turn; 0 at the end.
    ///
    /// # Errors
    /// See [`DeskError`].
    fn apply(&self, claim: BulkClaim, limit: usize, lease: Duration) -> DeskResult<'_, u64>;

    /// Takes messages as handled that were sent longer than `age` ago and have not come back. Returns how many.
    ///
    /// # Errors
    /// See [`DeskError`].
    fn settle(&self, claim: BulkClaim, age: Duration, limit: usize, lease: Duration) -> DeskResult<'_, u64>;

    /// Records that the trial with the first messages was passed.
    ///
    /// # Errors
    /// See [`DeskError`].
    fn pass_canary(&self, claim: BulkClaim, lease: Duration) -> DeskResult<'_, ()>;

    /// Ends an operation, or stops it, and gives up its claim.
    ///
    /// # Errors
    /// See [`DeskError`].
    fn finish<'a>(&'a self, claim: BulkClaim, state: BulkState, outcome: &'a str) -> DeskResult<'a, ()>;
}
