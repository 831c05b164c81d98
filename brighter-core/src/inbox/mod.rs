//! [`Inbox`]: records which requests were handled, so that duplicates are detected.

mod fingerprint;
mod handling;
mod repeated;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub use fingerprint::Fingerprint;
#[doc(hidden)]
pub use handling::RecordedInTransaction;
pub use handling::{Handling, InboxTransaction, complete_in};
#[doc(hidden)]
pub use repeated::Repeated;

use crate::error::BoxError;
use crate::id::MessageId;

/// Identifies one request and its handler in an inbox.
///
/// While a request is handled in a pipeline with `#[use_inbox]`, its key is in the bag of the context:
/// `cx.get::<InboxKey>()`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct InboxKey {
    /// The identity of the request.
    pub id: MessageId,
    /// The name of the handler, so that each of several handlers of one event has a key of its own.
    pub context: Arc<str>,
}

impl InboxKey {
    /// Returns the key of this request in this context.
    pub fn new(id: MessageId, context: impl Into<Arc<str>>) -> Self {
        let context = context.into();
        Self { id, context }
    }
}

impl fmt::Display for InboxKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.id, self.context)
    }
}

/// Identifies one claim of a key: a number from the store, never used twice for one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClaimId(u64);

impl ClaimId {
    /// Returns the claim with this number.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

/// The result of [`Inbox::begin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Begun {
    /// The request is new. The caller holds this claim until the lease ends, and handles the request.
    First(ClaimId),
    /// Another claim holds the key, for this much longer.
    Running {
        /// The rest of the lease.
        left: Duration,
    },
    /// The request was handled before.
    Done,
    /// A request with the same key and other content was handled, or is being handled.
    Collision,
}

/// Why an inbox operation failed. Nothing was changed.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum InboxError {
    /// The store has no room for another key.
    #[error("the inbox is full; nothing was stored")]
    Full(#[source] BoxError),
    /// The store is busy or unavailable. Another attempt may succeed.
    #[error("the inbox cannot be reached now; nothing was stored")]
    Unavailable(#[source] BoxError),
    /// The store is read-only for this user or file.
    #[error("the inbox is read-only; check the permissions of its file or user")]
    ReadOnly(#[source] BoxError),
    /// The server or the transaction is read-only, as on a standby or after a failover. Another attempt may succeed:
    /// this connection is not used again, and another one may lead to the primary.
    #[error(
        "the database of the inbox is read-only for now, as after a failover; nothing was stored: try again"
    )]
    Standby(#[source] BoxError),
    /// Another transaction was in the way: a deadlock, a serialization failure, or a lock that was waited for too long. A
    /// call of its own was tried again a few times; in a transaction of the application, roll back, and run all of it again.
    #[error(
        "transaction conflict in the inbox; nothing was stored: roll back, and run the transaction again"
    )]
    Conflict(#[source] BoxError),
    /// The store was made by a newer version of brighter.
    #[error("the inbox has schema version {found} and this program knows {known}: run a newer program")]
    NewerSchema {
        /// The version of the store.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The tables of the store are missing, different, or in another schema. A person must correct this: the source
    /// says how.
    #[error("the tables of the inbox cannot be used")]
    Tables(#[source] BoxError),
    /// The claim of the request has expired, and another process has or has handled the request. It must not be handled
    /// again.
    #[error(
        "the claim of {key} has expired, and another process has or has handled the request: roll back; if handling takes that long, set a longer lease on `#[use_inbox]`"
    )]
    ClaimLost {
        /// The key of the request.
        key: InboxKey,
    },
    /// The request to complete has no inbox key.
    #[error("the request is not handled within an inbox, or has no id: put `#[use_inbox]` on the handler")]
    NotHandling,
    /// The handler has `#[transactional]`, which records the request itself.
    #[error(
        "the handler has `#[transactional]`, which records the request in its transaction: remove `complete_in`"
    )]
    Transactional,
    /// The transaction belongs to another kind of inbox than the processor has.
    #[error(
        "the transaction belongs to a `{wanted}`, and the processor has another inbox: pass the `{wanted}` to the builder"
    )]
    WrongTransaction {
        /// The inbox that belongs to the transaction.
        wanted: &'static str,
    },
    /// The inbox does not support this operation.
    #[error("the inbox does not support {0}; use an inbox that does")]
    Unsupported(&'static str),
    /// Any other failure.
    #[error("the inbox failed")]
    Other(#[source] BoxError),
}

crate::__readable_debug!(InboxError);

/// Records which requests were handled, and which are being handled.
///
/// A caller that is about to handle a request *begins* it, which claims its key for a time: the lease. Then the caller
/// *completes* the request, and the key stays, or *abandons* it, and the key is removed. A claim that is neither
/// completed nor abandoned ends with its lease, and the request may be begun again. So a process that dies is replaced,
/// and two live ones do not handle the same request.
///
/// All methods are atomic: after an error nothing has changed, and if several callers begin the same key at once, one
/// is first.
///
/// A later version adds only methods with a default, so an inbox that compiles today keeps compiling. An inbox around
/// another one must forward every method.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an inbox",
    label = "does not implement `Inbox`",
    note = "pass `InMemoryInbox`, `SqliteInbox`, `PostgresInbox` or `MySqlInbox`, or implement `brighter::inbox::Inbox` for `{Self}`: `begin`, `complete` and `abandon`"
)]
pub trait Inbox: Any + Send + Sync {
    /// Claims a key for `lease`, unless it is completed or claimed.
    ///
    /// The fingerprint is that of the content of the request's body, if it has one. Where it
    /// [is not the one](Fingerprint::is_kept_as) that is there already it is a [`Collision`](Begun::Collision), even if the
    /// claim that left it has ended.
    ///
    /// # Errors
    /// See [`InboxError`].
    fn begin<'a>(
        &'a self,
        key: &'a InboxKey,
        fingerprint: Option<Fingerprint>,
        lease: Duration,
    ) -> BoxFuture<'a, Result<Begun, InboxError>>;

    /// Records that the request was handled. This succeeds even if the claim has ended or another claim holds the key:
    /// the request was handled, and the other claim is void.
    ///
    /// # Errors
    /// See [`InboxError`]. The key stays claimed until its lease ends, and may then be begun again.
    fn complete<'a>(&'a self, key: &'a InboxKey) -> BoxFuture<'a, Result<(), InboxError>>;

    /// Abandons the claim, so that the request may be begun again at once. Does nothing if the claim no longer holds
    /// the key, or if the request is completed.
    ///
    /// # Errors
    /// See [`InboxError`]. The key stays claimed until its lease ends.
    fn abandon<'a>(&'a self, key: &'a InboxKey, claim: ClaimId) -> BoxFuture<'a, Result<(), InboxError>>;

    /// Returns the capability to tell which requests were handled; `None`, the default, if there is none. A
    /// schedule that does not overlap needs it.
    fn history(&self) -> Option<&dyn InboxHistory> {
        None
    }

    /// Returns how long handled requests are remembered; `None`, the default, if that is unknown. A dispatcher refuses
    /// a subscription whose messages may be delivered again after that time.
    fn retention(&self) -> Option<Duration> {
        None
    }

    /// Returns whether a handler can [complete](complete_in) its request in a transaction of its own; `false` is the
    /// default. A handler that could and does not is named in the log, at the level `debug`.
    fn has_transactions(&self) -> bool {
        false
    }
}

/// Tells which requests were handled: see [`Inbox::history`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot tell which requests were handled",
    label = "does not implement `InboxHistory`",
    note = "implement `brighter::inbox::InboxHistory` for `{Self}` (`handled`), and return it from `Inbox::history`"
)]
pub trait InboxHistory: Send + Sync {
    /// Returns those of these ids whose request a handler has completed, in any order and each once.
    ///
    /// # Errors
    /// See [`InboxError`].
    fn handled<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<Vec<MessageId>, InboxError>>;
}
