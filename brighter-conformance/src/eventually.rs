//! Waiting for what time brings.

use std::time::Duration;

use tokio::time::Instant;

/// Asks again and again until there is an answer, and gives it.
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
/// There is none after ten seconds.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within ten seconds: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
