//! [`OutboxError`]: why an outbox could not do what it was asked.

use crate::error::BoxError;
use crate::id::MessageId;

/// Why an outbox could not do what it was asked. Nothing was changed.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// There is no room for more: the disk is full, or the file may not grow, or as many messages are outstanding
    /// as may be.
    #[error("the outbox is full; nothing was stored")]
    Full(#[source] BoxError),
    /// The store is busy or away. Trying again may work.
    #[error("the outbox cannot be reached now; nothing was stored")]
    Unavailable(#[source] BoxError),
    /// The store may not be written.
    #[error("the outbox may not be written; check the permissions of its file or user")]
    ReadOnly(#[source] BoxError),
    /// The connection leads to a server that only reads, as a standby does and one that was replaced in a failover, or its
    /// transaction only reads. Trying again may work: the connection is not used again, and another one may lead to the
    /// server that writes.
    #[error(
        "the database of the outbox is read-only for now, as after a failover; nothing was stored: try again"
    )]
    Standby(#[source] BoxError),
    /// Another transaction was in the way: a deadlock, a serialization failure, or a lock that was waited for too long. A
    /// call of its own was tried again a few times; in a transaction of the application, roll back, and run all of it again.
    #[error(
        "another transaction was in the way of the outbox; nothing was stored: roll back, and run the transaction again"
    )]
    Conflict(#[source] BoxError),
    /// The store was made by a newer version of brighter.
    #[error("the outbox has schema version {found} and this program knows {known}: run a newer program")]
    NewerSchema {
        /// The version of the store.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The tables of the store are not those that it needs, or not where it looks for them. A person has to mend it: the
    /// source says how.
    #[error("the tables of the outbox cannot be used")]
    Tables(#[source] BoxError),
    /// Another message has that id. A known id with the same topic and body is no error.
    #[error(
        "the outbox holds another message with the id `{id}`, and so not this one: an id is for one message; give each request its own"
    )]
    IdInUse {
        /// The id.
        id: MessageId,
    },
    /// What the store holds cannot be read.
    #[error("message `{id}` in the outbox cannot be read")]
    Corrupt {
        /// The id of the row.
        id: String,
        /// Why not.
        #[source]
        source: BoxError,
    },
    /// The outbox cannot do this at all.
    #[error("the outbox does not support {0}; use an outbox that does")]
    Unsupported(&'static str),
    /// Something else.
    #[error("the outbox failed")]
    Other(#[source] BoxError),
}

crate::__readable_debug!(OutboxError);
