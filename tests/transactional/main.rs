//! `#[transactional]`: the effect of a handler, the key of its request, and the messages that it causes, in a transaction
//! that the attribute begins.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod conflicts;
mod crashing;
mod desk;
mod ending;
mod once;
mod telling;
mod wiring;
