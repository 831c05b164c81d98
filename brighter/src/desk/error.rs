//! [`OperateError`]: why a desk cannot do what it was asked for.

use brighter_core::channel::ChannelError;
use brighter_core::desk::{DeskError, InvalidBulk, OperationId};

/// Why a desk cannot do what it was asked for.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum OperateError {
    /// The plan of the operation makes no sense.
    #[error("the operation cannot begin")]
    Invalid(#[from] InvalidBulk),
    /// Edits are not allowed.
    #[error(
        "edits are not allowed at this desk: allow them by `Desk::allow_edits`, or send the message as it is"
    )]
    EditsNotAllowed,
    /// There is no such operation.
    #[error("there is no operation {0} at this desk")]
    NoOperation(OperationId),
    /// A channel of rejected messages cannot be consumed.
    #[error("the rejected messages cannot be taken")]
    Channel(#[from] ChannelError),
    /// The store failed.
    #[error("the desk's store failed")]
    Store(#[from] DeskError),
}

brighter_core::__private::readable_debug!(OperateError);
