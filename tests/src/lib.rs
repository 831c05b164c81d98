//! What the tests share. It sees brighter only as a user can.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

pub mod databases;
pub mod errand;
pub mod log_fields;
pub mod promtool;
pub mod rabbitmq;
pub mod scripted;
pub mod servers;
pub mod subscriber;
pub mod wait;
