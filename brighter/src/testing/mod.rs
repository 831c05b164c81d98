//! What tests are made with: the contracts that every store must keep.
//!
//! Everything here panics when what it checks is not so; it belongs in tests only.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says by a panic what is wrong"
)]

mod eventually;
pub mod inbox;
pub mod outbox;
pub mod outbox_transaction;

pub use crate::{inbox_contract, outbox_contract, outbox_transaction_contract};
pub use eventually::eventually;

/// Runs a future to its end, as `#[tokio::test]` does, for tests that a macro of this crate made: they need
/// not know how the crate that asked for them calls tokio.
///
/// # Panics
/// The future panicked, or the system gave no threads.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime for the test")
        .block_on(future)
}
