//! [`DeskError`]: why a call of the desk failed.

use super::id::OperationId;
use crate::error::BoxError;

/// Why a call of the desk's store failed. Nothing was changed.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum DeskError {
    /// The store has no room: the disk is full, or the file may not grow.
    #[error("the desk is full; nothing was stored")]
    Full(#[source] BoxError),
    /// The store is busy or unavailable. Another attempt may succeed.
    #[error("the desk cannot be reached now; nothing was stored")]
    Unavailable(#[source] BoxError),
    /// The store is read-only for this user or file.
    #[error("the desk is read-only; check the permissions of its file or user")]
    ReadOnly(#[source] BoxError),
    /// The server or the transaction is read-only, as on a standby or after a failover. Another attempt may succeed.
    #[error(
        "the database of the desk is read-only for now, as after a failover; nothing was stored: try again"
    )]
    Standby(#[source] BoxError),
    /// Another transaction was in the way, also after a few more attempts.
    #[error("transaction conflict in the desk; nothing was stored: try again")]
    Conflict(#[source] BoxError),
    /// The store was made by a newer version of brighter.
    #[error("the desk has schema version {found} and this program knows {known}: run a newer program")]
    NewerSchema {
        /// The version of the store.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The tables of the store are missing, different, or in another schema. The source says what to do.
    #[error("the tables of the desk cannot be used")]
    Tables(#[source] BoxError),
    /// Another process has the operation now: this one was silent for longer than its lease.
    #[error("operation {operation} was taken over by another process; this one does no more of it")]
    LeaseLost {
        /// The operation.
        operation: OperationId,
    },
    /// The message has a header that no store can keep, such as a number that is not finite.
    #[error("message `{id}` cannot be kept")]
    NotKept {
        /// The id of the message.
        id: String,
        /// The reason.
        #[source]
        source: BoxError,
    },
    /// A row of the store cannot be read.
    #[error("row {row} of the desk cannot be read")]
    Corrupt {
        /// The row.
        row: String,
        /// The reason.
        #[source]
        source: BoxError,
    },
    /// The desk does not support this.
    #[error("the desk does not support {0}; use a desk that does")]
    Unsupported(&'static str),
    /// Any other failure.
    #[error("the desk failed")]
    Other(#[source] BoxError),
}

crate::__readable_debug!(DeskError);

impl DeskError {
    /// Returns whether another attempt may succeed without a person.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Standby(_) | Self::Conflict(_))
    }
}
