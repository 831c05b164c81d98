//! What a call to a faulty broker may meet: [`PublishFault`], [`SettleFault`].

use std::time::Duration;

/// A fault of publishing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishFault {
    /// There is no connection: the message is not taken.
    Away,
    /// The broker says no: the message is not taken.
    Refuse,
    /// The message is taken, and the connection lost before its confirm came.
    ConfirmLost,
    /// The message is taken twice.
    Duplicate,
    /// The message is taken and confirmed after this long.
    Delay(Duration),
    /// The message is taken and confirmed after the one that is published next, or after a second if none is.
    Reorder,
}

/// A fault of an ack, a requeue or a rejection. The message is delivered again in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettleFault {
    /// Settling fails, and the message goes back to its channel.
    Fails,
    /// Settling does not end until the connection is lost or the caller gives up.
    Hangs,
}
