//! Waiting for a condition. See also `brighter_tests::wait`, for those that can be looked at without waiting.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use brighter_test_servers::patience;
use tokio::time::{sleep, timeout};

/// How long anything may take before a test fails, on a quiet machine: see [`deadline`].
pub(crate) const DEADLINE: Duration = Duration::from_secs(180);

/// Returns how long anything may take before a test fails: more on a slow machine. It is no measure: what is promised
/// to take less is measured, and reported, and a slow machine is no failure.
#[must_use]
pub fn deadline() -> Duration {
    patience(DEADLINE)
}

/// Asks until the answer is the one that is expected, and says how long that took.
///
/// # Panics
/// It is not, within [`deadline`].
pub async fn until_answer<T: PartialEq + Debug>(
    what: &str,
    expected: T,
    mut ask: impl AsyncFnMut() -> T,
) -> Duration {
    let begun = Instant::now();
    loop {
        let answer = ask().await;
        if answer == expected {
            return begun.elapsed();
        }
        assert!(
            begun.elapsed() < deadline(),
            "waited in vain for {what} to be {expected:?}: it is {answer:?}"
        );
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits for something that must not take forever.
///
/// # Panics
/// It does.
pub async fn in_time<T>(what: &str, doing: impl Future<Output = T>) -> T {
    match timeout(deadline(), doing).await {
        Ok(done) => done,
        Err(_) => panic!("waited in vain for {what}"),
    }
}
