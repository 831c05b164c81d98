//! Waiting for a condition, with a deadline that is far beyond what any machine needs.

use std::fmt::Debug;
use std::time::Duration;

use brighter_test_servers::patience;

/// How long anything may take before a test fails, on a quiet machine: see [`deadline`].
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Returns how long anything may take before a test fails: more on a slow machine.
#[must_use]
pub fn deadline() -> Duration {
    patience(DEADLINE)
}

/// Waits until the condition holds.
///
/// # Panics
/// It does not, within [`deadline`].
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(deadline(), async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain until {what}");
}

/// Waits until what is asked for equals what is expected.
///
/// # Panics
/// It does not, within [`deadline`].
pub async fn until_eq<T: PartialEq + Debug>(what: &str, expected: T, mut ask: impl FnMut() -> T) {
    let waited = tokio::time::timeout(deadline(), async {
        while ask() != expected {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(
        waited.await.is_ok(),
        "waited in vain for {what} to be {expected:?}: it is {:?}",
        ask()
    );
}
