//! brighter with real stores and real brokers, as a user sees it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod batches;
mod behaviours;
mod bodies;
mod building;
mod calling;
mod channel_kinds;
mod circling;
mod cloud_events;
mod config;
mod confirming;
mod conformance;
mod consuming_again;
mod design;
mod dispatcher;
mod dispatching;
mod gate;
mod headers;
mod health;
mod host;
mod http;
mod in_memory_broker;
mod in_memory_limits;
mod inbox;
mod log;
mod log_lines;
mod outbox;
mod pipelines;
mod posting;
mod processing;
mod pump;
mod rabbitmq;
mod replaying;
mod scheduling;
mod secrets;
mod snippets;
mod sqlite_broker;
mod steps;
mod testing;
mod unique_posts;
