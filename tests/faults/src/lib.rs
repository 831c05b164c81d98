//! The rig of the fault tests: what does harm, repeatably, and what sees whether anything came of it.
//! It sees brighter only as a user can.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

pub mod app;
pub mod balancer;
pub mod batches;
pub mod books;
pub mod capture;
pub mod certificates;
pub mod cluster;
pub mod commits;
pub mod consumer;
pub mod cycles;
pub mod desk;
pub mod frames;
pub mod gauge;
mod keeper;
pub mod leaks;
pub mod ledger;
pub mod mariadb;
pub mod node;
pub mod place;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod scale;
pub mod server;
pub mod stranger;
pub mod tally;
pub mod traffic;
pub mod wait;
pub mod way;
