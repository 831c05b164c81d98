//! What the fuzz targets run, and the seeds that they begin with.
//!
//! `cargo xtask fuzz` gives each target to libFuzzer, by the programs in `fuzz/`. The tests of this crate run every seed,
//! and some thousands of changes of it, on any compiler.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a target tells what it found"
)]

mod cloud_events;
mod config;
mod control;
mod json;
mod seed;
mod tables;
mod times;
mod urls;
mod wire;

pub use seed::Seed;

/// A place where text or bytes come in that somebody else has written.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is also that of its program.
    pub name: &'static str,
    /// Reads an input. It panics if something does not hold.
    pub run: fn(&[u8]),
    /// Returns what to begin with: among them inputs as large and as deep as they may come, which no fuzzer finds by
    /// itself.
    pub seeds: fn() -> Vec<Seed>,
}

/// Every target, in the order of their names.
pub const TARGETS: &[Target] = &[
    cloud_events::TARGET,
    config::TOML,
    config::YAML,
    control::TARGET,
    json::IN,
    json::OUT,
    wire::NESTING,
    tables::TARGET,
    times::TARGET,
    urls::TARGET,
    wire::WIRE,
];

/// Returns the target of this name.
///
/// # Panics
/// There is none.
#[must_use]
pub fn target(name: &str) -> Target {
    let found = TARGETS.iter().find(|target| target.name == name);
    *found.unwrap_or_else(|| panic!("there is no fuzz target `{name}`"))
}
