//! The part of the integration tests that `cargo xtask mutants` builds and runs again for each small change: what is
//! said there of pump, relay, sweeper and inbox, and needs no server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]
#![allow(dead_code, reason = "what they share is also for those that are not here")]

mod calling;
mod dispatcher;
mod dispatching;
mod gate;
mod health;
mod inbox;
mod log;
mod outbox {
    mod in_memory;
    mod relaying;
    mod sweeping;
    mod watched;
}
mod posting;
mod processing;
mod pump;
mod replaying;
mod scheduling;
