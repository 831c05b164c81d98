//! The [`Outbox`]: where a message is safe from the moment it is posted until the broker has it.

mod archive;
mod arrivals;
mod capability;
mod claim;
mod error;
mod report;
mod selection;
mod transaction;

use std::any::Any;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub use archive::Archive;
#[doc(hidden)]
pub use arrivals::Bell;
pub use arrivals::{Arrival, Arrivals};
pub use capability::{Archiving, DeadMessages, Inspection, Resending, Scheduling};
pub use claim::{Claim, Claimed};
pub use error::OutboxError;
pub use report::{DeadMessage, Failure, MessageState, OutboxStatus, ScheduledMessage};
pub use selection::Selection;
pub use transaction::OutboxTransaction;

use crate::id::MessageId;
use crate::message::Message;

/// Where messages wait until the broker has them.
///
/// A message is *outstanding* from its deposit until it is marked as dispatched. A publisher *claims* a message first,
/// for a time: the lease. A claim that is neither marked, nor failed, nor released ends with its lease, and the message
/// may be claimed again. So a publisher that dies is replaced, and two that live do not publish the same message.
///
/// All methods are atomic: after an error nothing has changed.
///
/// # What an outbox must do, and what it may do
/// The six required methods are what posting and sweeping need. Each method after them reaches a capability, and
/// returns `None` unless the outbox has it. A processor asks for a capability when it needs one: with an outbox that
/// lacks it, the call returns [`OutboxError::Unsupported`], or `build()` fails when a part of the processor needs it.
///
/// | method | trait | who needs it |
/// |---|---|---|
/// | [`scheduling`](Self::scheduling) | [`Scheduling`] | posts that are sent later |
/// | [`inspection`](Self::inspection) | [`Inspection`] | reading one message and its state; `repost`; duplicates in a process without a sweeper |
/// | [`dead_messages`](Self::dead_messages) | [`DeadMessages`] | listing and reviving the dead |
/// | [`resending`](Self::resending) | [`Resending`] | sending dispatched messages again; `#[use_inbox(on_duplicate = replay)]` |
/// | [`archiving`](Self::archiving) | [`Archiving`] | an archiver |
/// | [`arrivals`](Self::arrivals) | [`Arrivals`] | a sweeper that is woken, in place of one that only looks at intervals |
///
/// A later version adds methods with a default only, so an outbox that compiles today compiles then. An outbox around
/// another one passes every method on.
///
/// `brighter-conformance` tests the required methods, and each capability that the outbox has.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an outbox",
    label = "does not implement `Outbox`",
    note = "pass `InMemoryOutbox`, `SqliteOutbox`, `PostgresOutbox` or `MySqlOutbox`, or implement `brighter::outbox::Outbox` for `{Self}`: `deposit`, `claim`, `mark_dispatched`, `mark_failed`, `release` and `status`"
)]
pub trait Outbox: Any + Send + Sync {
    /// Stores messages, in a transaction of the outbox's own, claimed for `lease` if there is one. A message that the
    /// outbox holds already, dispatched or not, is left as it is; returns the ids of those.
    ///
    /// # Errors
    /// See [`OutboxError`]; [`IdInUse`](OutboxError::IdInUse) when one is known with another topic or content, as
    /// [`Message::is_same`] says it.
    fn deposit<'a>(
        &'a self,
        messages: &'a [Message],
        lease: Option<Duration>,
    ) -> BoxFuture<'a, Result<Vec<MessageId>, OutboxError>>;

    /// Claims messages for `lease`, oldest first.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn claim<'a>(
        &'a self,
        which: Claim<'a>,
        lease: Duration,
    ) -> BoxFuture<'a, Result<Vec<Claimed>, OutboxError>>;

    /// Records that the broker has these messages.
    ///
    /// # Errors
    /// See [`OutboxError`]. The messages stay claimed, and are published again when the lease ends.
    fn mark_dispatched<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<(), OutboxError>>;

    /// Records that the broker did not take these messages: counts the attempt, and ends the claim. A message whose
    /// [last](Failure::last) failure it is becomes dead: it is no longer outstanding, and never claimed. Whoever wants
    /// it sent after all needs [`DeadMessages::revive`].
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn mark_failed<'a>(&'a self, failures: &'a [Failure]) -> BoxFuture<'a, Result<(), OutboxError>>;

    /// Ends the claim of these messages, which nobody tried to publish.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn release<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<(), OutboxError>>;

    /// Returns how full the outbox is.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn status(&self) -> BoxFuture<'_, Result<OutboxStatus, OutboxError>>;

    /// Returns what stores messages that are sent later. `None`, the default, if the outbox cannot.
    fn scheduling(&self) -> Option<&dyn Scheduling> {
        None
    }

    /// Returns what reads single messages. `None`, the default, if the outbox cannot.
    fn inspection(&self) -> Option<&dyn Inspection> {
        None
    }

    /// Returns what lists and revives dead messages. `None`, the default, if the outbox cannot.
    fn dead_messages(&self) -> Option<&dyn DeadMessages> {
        None
    }

    /// Returns what makes dispatched messages outstanding again. `None`, the default, if the outbox cannot.
    fn resending(&self) -> Option<&dyn Resending> {
        None
    }

    /// Returns what takes old messages out. `None`, the default, if the outbox cannot.
    fn archiving(&self) -> Option<&dyn Archiving> {
        None
    }

    /// Tells of messages that arrive from now on and that nobody has claimed, as far as it is known in this process.
    /// `None`, the default, if it never is; a sweeper looks now and then in any case.
    fn arrivals(&self) -> Option<Arrivals> {
        None
    }
}
