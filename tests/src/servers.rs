//! The servers that the tests talk to.

/// Returns the value of a variable by which tests find a server. Without `cargo xtask test`, which sets it, the first
/// test that asks starts the server.
///
/// # Panics
/// There is none, and none can be started.
#[must_use]
pub fn variable(name: &str) -> String {
    brighter_test_servers::variable(name).unwrap_or_else(|error| panic!("{error:#}"))
}
