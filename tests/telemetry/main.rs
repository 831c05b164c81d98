//! Spans and metrics as an application sees them. A program of its own, because their recorder is global.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod batches;
mod collector;
mod confirming;
mod dashboard;
mod exactly;
mod log_lines;
mod metrics;
mod propagation;
mod spans;
