//! The faults of the catalogue, each injected for real, and what must hold after it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod a_broker;
mod a_network;
mod a_refusal;
mod a_tls;
mod b_channel;
mod b_publishing;
mod closings;
mod delays;
mod rig;
