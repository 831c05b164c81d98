//! Waits for asynchronous results.

use std::time::Duration;

use tokio::time::Instant;

/// Calls `ask` repeatedly until it returns an answer, and returns that answer.
///
/// ```
/// use brighter::testing::{eventually, run};
///
/// let mut asked = 0;
/// let answer = run(eventually("the third answer", async || {
///     asked += 1;
///     (asked == 3).then_some(asked)
/// }));
/// assert_eq!(answer, 3);
/// ```
///
/// # Panics
/// Panics if there is no answer after thirty seconds, which is enough on a busy machine.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within thirty seconds: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
