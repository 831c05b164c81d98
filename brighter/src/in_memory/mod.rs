//! Broker, outbox and inbox inside the process, for tests and for programs that need no others.

pub(crate) mod broker;
#[cfg(feature = "desk")]
pub(crate) mod desk;
pub(crate) mod inbox;
pub(crate) mod outbox;
