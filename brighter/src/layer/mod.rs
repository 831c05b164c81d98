//! The layers that step attributes put around a handler, one file each. Policies are in
//! [`policy`](crate::policy).

mod request_logging;

pub use request_logging::{RequestLoggingLayer, RequestLoggingService};
