//! What is seen of messages from outside: spans, with the feature `otel`, metrics, with the feature `metrics`, and what
//! lines of the log have in common.
//!
//! The metrics go through the `metrics` facade to whatever recorder the application has installed. It must be
//! installed before the processor and its dispatcher are built: what asks for a metric before then is not heard.

mod log_id;
#[cfg_attr(feature = "metrics", path = "metrics/on.rs")]
#[cfg_attr(not(feature = "metrics"), path = "metrics/off.rs")]
pub(crate) mod metrics;
pub(crate) mod spans;
#[cfg(feature = "metrics")]
#[path = "metrics/table.rs"]
mod table;
mod traced_broker;
mod warning_limit;

pub(crate) use log_id::id_beside_span;
#[cfg(feature = "metrics")]
pub use table::{METRICS, Metric, MetricKind};
pub(crate) use traced_broker::traced;
pub(crate) use warning_limit::WarningLimit;
