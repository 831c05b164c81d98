//! The faults of the catalogue, each injected for real, and what must hold after it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod a_broker;
mod a_network;
mod a_nodes;
mod a_refusal;
mod a_tls;
mod b_blocked;
mod b_channel;
mod b_publishing;
mod c_batches;
mod c_calls;
mod c_handling;
mod c_inbox;
mod c_lanes;
mod c_large;
mod c_process;
mod c_strangers;
mod closings;
mod conformance;
mod d_commit;
mod d_database;
mod d_failover;
mod d_posting;
mod d_read_only;
mod d_steps;
mod d_sweep;
mod delays;
mod e_cycles;
mod e_health;
mod e_million;
mod e_replay;
mod e_soak;
mod g_bare;
mod g_channels;
mod g_cluster;
mod g_connections;
mod g_headers;
mod g_innocents;
mod g_scene;
mod g_steering;
mod rig;
mod table;
