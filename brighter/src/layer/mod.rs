//! The layers that step attributes put around a handler, one file each. Policies are in
//! [`policy`](crate::policy).

mod request_logging;
mod use_inbox;

pub use request_logging::{RequestLoggingLayer, RequestLoggingService};
pub(crate) use use_inbox::OnDuplicate;
pub use use_inbox::{DuplicateReply, UseInboxLayer, UseInboxService};
