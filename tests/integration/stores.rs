//! The part of the integration tests that is about the stores, for `cargo xtask mutants stores`, which leaves out those that
//! need a server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]
#![allow(dead_code, reason = "what they share is also for those that are not here")]

mod inbox {
    mod contract;
}
mod log;
mod outbox {
    mod archiving;
    mod conflicts;
    mod contract;
    mod ddl;
    mod leases;
    mod pooler;
    mod servers;
    mod sqlite;
    mod tables;
}
