//! [`Outbox`]: keeps a message safe from the moment it is posted until the broker has it.

mod archive;
mod arrivals;
mod capability;
mod claim;
mod error;
mod report;
mod schedules;
mod selection;
mod transaction;
mod unique;

use std::any::Any;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub use archive::Archive;
#[doc(hidden)]
pub use arrivals::Bell;
pub use arrivals::{Arrival, Arrivals};
pub use capability::{Archiving, DeadMessages, Inspection, Resending, Scheduling, UniquePosts};
pub use claim::{Claim, Claimed};
pub use error::OutboxError;
pub use report::{DeadMessage, Failure, MessageState, OutboxStatus, ScheduledMessage};
pub use schedules::{
    DueSchedules, FoundSchedules, ScheduleChange, ScheduleOrigin, ScheduleRow, ScheduleState, Schedules,
};
pub use selection::Selection;
pub use transaction::OutboxTransaction;
pub use unique::{InvalidUniqueKey, UniqueDeposit, UniqueKey};

use crate::id::MessageId;
use crate::message::Message;

/// Stores messages until the broker has them.
///
/// A message is *outstanding* from its deposit until it is marked as dispatched. A publisher *claims* a message first,
/// for a time: the lease. A claim that is not marked, failed or released ends with its lease, and the message may be
/// claimed again. So a publisher that dies is replaced, and two live ones do not publish the same message.
///
/// All methods are atomic: after an error nothing has changed.
///
/// # Required methods and capabilities
/// Posting and sweeping need the six required methods. Each method after them returns a capability, or `None` if the
/// outbox does not have it. A processor requests a capability when it needs one. If the outbox does not have it, the
/// call returns [`OutboxError::Unsupported`], or `build()` fails if a part of the processor needs it.
///
/// | method | trait | used by |
/// |---|---|---|
/// | [`scheduling`](Self::scheduling) | [`Scheduling`] | posts that are sent later |
/// | [`inspection`](Self::inspection) | [`Inspection`] | reading one message and its state; `repost`; duplicates in a process without a sweeper |
/// | [`dead_messages`](Self::dead_messages) | [`DeadMessages`] | listing and reviving the dead |
/// | [`resending`](Self::resending) | [`Resending`] | sending dispatched messages again; `#[use_inbox(on_duplicate = replay)]` |
/// | [`archiving`](Self::archiving) | [`Archiving`] | an archiver |
/// | [`schedules`](Self::schedules) | [`Schedules`] | recurring work |
/// | [`unique_posts`](Self::unique_posts) | [`UniquePosts`] | `unique_for` |
/// | [`arrivals`](Self::arrivals) | [`Arrivals`] | a sweeper that is woken, rather than one that only polls |
///
/// A later version adds only methods with a default, so an outbox that compiles today keeps compiling. An outbox around
/// another one must forward every method.
///
/// `brighter-conformance` tests the required methods, and each capability that the outbox has.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an outbox",
    label = "does not implement `Outbox`",
    note = "pass `InMemoryOutbox`, `SqliteOutbox`, `PostgresOutbox` or `MySqlOutbox`, or implement `brighter::outbox::Outbox` for `{Self}`: `deposit`, `claim`, `mark_dispatched`, `mark_failed`, `release` and `status`"
)]
pub trait Outbox: Any + Send + Sync {
    /// Stores messages in a transaction of the outbox's own, claimed for `lease` if there is one. A message that the
    /// outbox already holds, dispatched or not, is left unchanged. Returns the ids of those messages.
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

    /// Records that the broker did not take these messages: counts the attempt, and ends the claim. After its
    /// [last](Failure::last) failure a message is dead: it is no longer outstanding, and cannot be claimed. Call
    /// [`DeadMessages::revive`] to send it after all.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn mark_failed<'a>(&'a self, failures: &'a [Failure]) -> BoxFuture<'a, Result<(), OutboxError>>;

    /// Ends the claim of these messages, without an attempt to publish them.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn release<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<(), OutboxError>>;

    /// Returns the number of messages in each state, and the age of the oldest.
    ///
    /// # Errors
    /// See [`OutboxError`].
    fn status(&self) -> BoxFuture<'_, Result<OutboxStatus, OutboxError>>;

    /// Returns the capability to store messages that are sent later; `None`, the default, if there is none.
    fn scheduling(&self) -> Option<&dyn Scheduling> {
        None
    }

    /// Returns the capability to read single messages; `None`, the default, if there is none.
    fn inspection(&self) -> Option<&dyn Inspection> {
        None
    }

    /// Returns the capability to list and revive dead messages; `None`, the default, if there is none.
    fn dead_messages(&self) -> Option<&dyn DeadMessages> {
        None
    }

    /// Returns the capability to make dispatched messages outstanding again; `None`, the default, if there is none.
    fn resending(&self) -> Option<&dyn Resending> {
        None
    }

    /// Returns the capability to remove old messages; `None`, the default, if there is none.
    fn archiving(&self) -> Option<&dyn Archiving> {
        None
    }

    /// Returns the capability to keep schedules of recurring work; `None`, the default, if there is none.
    fn schedules(&self) -> Option<&dyn Schedules> {
        None
    }

    /// Returns the capability to store a message unless another one holds its key; `None`, the default, if there is none.
    fn unique_posts(&self) -> Option<&dyn UniquePosts> {
        None
    }

    /// Tells of unclaimed messages that arrive from now on, as far as this process learns of them. Returns `None`, the
    /// default, if it never does. A sweeper polls at intervals in any case.
    fn arrivals(&self) -> Option<Arrivals> {
        None
    }
}
