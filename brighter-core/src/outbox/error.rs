//! [`OutboxError`]: why an outbox operation failed.

use crate::error::BoxError;
use crate::id::MessageId;

/// Why an outbox operation failed. Nothing was changed.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// The store has no room: the disk is full, the file may not grow, or the limit of outstanding messages is reached.
    #[error("the outbox is full; nothing was stored")]
    Full(#[source] BoxError),
    /// The store is busy or unavailable. Another attempt may succeed.
    #[error("the outbox cannot be reached now; nothing was stored")]
    Unavailable(#[source] BoxError),
    /// The store is read-only for this user or file.
    #[error("the outbox is read-only; check the permissions of its file or user")]
    ReadOnly(#[source] BoxError),
    /// The server or the transaction is read-only, as on a standby or after a failover. Another attempt may succeed:
    /// this connection is not used again, and another one may lead to the primary.
    #[error(
        "the database of the outbox is read-only for now, as after a failover; nothing was stored: try again"
    )]
    Standby(#[source] BoxError),
    /// Another transaction was in the way: a deadlock, a serialization failure, or a lock that was waited for too long. A
    /// call of its own was tried again a few times; in a transaction of the application, roll back, and run all of it again.
    #[error(
        "transaction conflict in the outbox; nothing was stored: roll back, and run the transaction again"
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
    /// The tables of the store are missing, different, or in another schema. A person must correct this: the source
    /// says how.
    #[error("the tables of the outbox cannot be used")]
    Tables(#[source] BoxError),
    /// Another message has that id. A known id with the same topic and content is no error: see
    /// [`Message::is_same`](crate::message::Message::is_same).
    #[error(
        "the outbox holds another message with the id `{id}`, and so not this one: an id is for one message; give each request its own"
    )]
    IdInUse {
        /// The id of both messages.
        id: MessageId,
    },
    /// A row of the store cannot be read.
    #[error("message `{id}` in the outbox cannot be read")]
    Corrupt {
        /// The id of the row.
        id: String,
        /// The reason.
        #[source]
        source: BoxError,
    },
    /// The outbox does not support this operation.
    #[error("the outbox does not support {0}; use an outbox that does")]
    Unsupported(&'static str),
    /// Any other failure.
    #[error("the outbox failed")]
    Other(#[source] BoxError),
}

crate::__readable_debug!(OutboxError);
