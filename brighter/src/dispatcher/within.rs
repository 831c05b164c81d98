//! [`within`]: a deadline that costs nothing for what is ready at once.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::poll;
use tokio::time::timeout;

/// What the future gives, or `None` after this time. What is ready at once, as most of what a pump waits for is,
/// needs no timer.
pub(super) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    match poll!(&mut future) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => timeout(limit, future).await.ok(),
    }
}
