//! Waiting for a condition, with a deadline that is far beyond what any machine needs.

use std::fmt::Debug;
use std::time::Duration;

/// How long anything may take before a test fails.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until the condition holds.
///
/// # Panics
/// It does not, within [`DEADLINE`].
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(DEADLINE, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain until {what}");
}

/// Waits until what is asked for equals what is expected.
///
/// # Panics
/// It does not, within [`DEADLINE`].
pub async fn until_eq<T: PartialEq + Debug>(what: &str, expected: T, mut ask: impl FnMut() -> T) {
    let waited = tokio::time::timeout(DEADLINE, async {
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
