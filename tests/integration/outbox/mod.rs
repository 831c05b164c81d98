//! The outboxes: the contract that each must keep, and what is special to one.
#![allow(
    clippy::unwrap_used,
    reason = "clippy knows tests from their helpers, and both are here"
)]

mod contract;
mod in_memory;
mod sqlite;
