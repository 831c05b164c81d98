//! The [`Inbox`]: which requests were handled, so that a duplicate is recognised.

mod fingerprint;
mod handling;
mod repeated;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub use fingerprint::Fingerprint;
pub use handling::{Handling, InboxTransaction, complete_in};
#[doc(hidden)]
pub use repeated::Repeated;

use crate::error::BoxError;
use crate::id::MessageId;

/// What an inbox remembers: which request, and who handles it.
///
/// While a request is handled in a pipeline with `#[use_inbox]`, its key is in the bag of the context:
/// `cx.get::<InboxKey>()`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct InboxKey {
    /// The identity of the request.
    pub id: MessageId,
    /// Who handles it, so that each of several handlers of one event has a key of its own.
    pub context: Arc<str>,
}

impl InboxKey {
    /// The key of this request in this context.
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

/// Which of the claims of a key one is: a number that the store gives, and never twice for one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClaimId(u64);

impl ClaimId {
    /// The claim of this number.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

/// What an inbox says to who is about to handle a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Begun {
    /// Nobody has handled it and nobody is handling it: it is yours, by this claim, until the lease ends.
    First(ClaimId),
    /// Somebody is handling it, whose lease has this long left.
    Running {
        /// What is left of the lease.
        left: Duration,
    },
    /// It was handled.
    Done,
    /// A request with the same key and another body was handled, or is being handled.
    Collision,
}

/// Why an inbox could not do what it was asked. Nothing was changed.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum InboxError {
    /// There is no room for another key.
    #[error("the inbox is full; nothing was stored")]
    Full(#[source] BoxError),
    /// The store is busy or away. Trying again may work.
    #[error("the inbox cannot be reached now; nothing was stored")]
    Unavailable(#[source] BoxError),
    /// The store may not be written.
    #[error("the inbox may not be written; check the permissions of its file or user")]
    ReadOnly(#[source] BoxError),
    /// The connection leads to a server that only reads, as a standby does and one that was replaced in a failover, or its
    /// transaction only reads. Trying again may work: the connection is not used again, and another one may lead to the
    /// server that writes.
    #[error(
        "the database of the inbox is read-only for now, as after a failover; nothing was stored: try again"
    )]
    Standby(#[source] BoxError),
    /// Another transaction was in the way: a deadlock, a serialization failure, or a lock that was waited for too long. A
    /// call of its own was tried again a few times; in a transaction of the application, roll back, and run all of it again.
    #[error(
        "another transaction was in the way of the inbox; nothing was stored: roll back, and run the transaction again"
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
    /// The tables of the store are not those that it needs, or not where it looks for them. A person has to mend it: the
    /// source says how.
    #[error("the tables of the inbox cannot be used")]
    Tables(#[source] BoxError),
    /// The claim of the request has ended, and another has it now or has handled it. It must not be handled once
    /// more.
    #[error(
        "the claim of {key} has ended, and another handles it or has handled it: roll back; if it takes that long to handle, give `#[use_inbox]` a longer lease"
    )]
    ClaimLost {
        /// Which.
        key: InboxKey,
    },
    /// A request was to be completed that no inbox knows.
    #[error("the request is not handled within an inbox, or has no id: put `#[use_inbox]` on the handler")]
    NotHandling,
    /// A request was to be completed in a transaction of another kind of inbox.
    #[error(
        "the transaction is one for a `{wanted}`, and the processor has another inbox: give the builder that one"
    )]
    WrongTransaction {
        /// The inbox that goes with the transaction.
        wanted: &'static str,
    },
    /// The inbox cannot do this at all.
    #[error("the inbox does not support {0}; use an inbox that does")]
    Unsupported(&'static str),
    /// Something else.
    #[error("the inbox failed")]
    Other(#[source] BoxError),
}

crate::__readable_debug!(InboxError);

/// Which requests were handled, and which are being handled.
///
/// Whoever is about to handle a request *begins* it, which claims its key for a time: the lease. Then it is
/// either *completed*, and the key stays, or *abandoned*, and the key is gone. A claim that is neither ends
/// with its lease, and the request may be begun again; so one that dies is replaced, and two that live do not
/// handle the same request.
///
/// All methods are atomic: after an error nothing has changed, and of several who begin the same key at once
/// one is first.
///
/// A later version adds methods with a default only, so an inbox that compiles today compiles then. An inbox around
/// another one passes every method on.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an inbox",
    label = "does not implement `Inbox`",
    note = "pass `InMemoryInbox`, `SqliteInbox`, `PostgresInbox` or `MySqlInbox`, or implement `brighter::inbox::Inbox` for `{Self}`: `begin`, `complete` and `abandon`"
)]
pub trait Inbox: Any + Send + Sync {
    /// Claims a key for `lease`, unless it is done or claimed.
    ///
    /// The fingerprint is that of the request's body, if it has one. Where it differs from the one that is
    /// there already it is a [`Collision`](Begun::Collision), even if the claim that left it has ended.
    ///
    /// # Errors
    /// See [`InboxError`].
    fn begin<'a>(
        &'a self,
        key: &'a InboxKey,
        fingerprint: Option<Fingerprint>,
        lease: Duration,
    ) -> BoxFuture<'a, Result<Begun, InboxError>>;

    /// The request was handled. That is so even if the claim has ended meanwhile, or another has it: what is
    /// done is done, and the other's claim is of no use any more.
    ///
    /// # Errors
    /// See [`InboxError`]. The key stays claimed until its lease ends, and may then be begun again.
    fn complete<'a>(&'a self, key: &'a InboxKey) -> BoxFuture<'a, Result<(), InboxError>>;

    /// The request was not handled, and may be begun again at once. Nothing happens if this is no longer the
    /// claim, or the request is done.
    ///
    /// # Errors
    /// See [`InboxError`]. The key stays claimed until its lease ends.
    fn abandon<'a>(&'a self, key: &'a InboxKey, claim: ClaimId) -> BoxFuture<'a, Result<(), InboxError>>;

    /// For how long it remembers what was handled; `None`, the default, if it does not say. A dispatcher takes no
    /// subscription whose messages may come again after that.
    fn retention(&self) -> Option<Duration> {
        None
    }
}
