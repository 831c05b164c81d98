//! What is seen from outside: spans, and metrics. A program of its own, for whoever takes them is the program's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod collector;
mod confirming;
mod dashboard;
mod exactly;
mod metrics;
mod propagation;
mod spans;
