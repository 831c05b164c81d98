//! [`within`]: a deadline that costs nothing for what is ready at once.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::poll;
use tokio::time::timeout;

/// Returns the output of the future, or `None` after this time. A future that is ready at once, as most of a pump's
/// are, needs no timer.
pub(super) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    match poll!(&mut future) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => timeout(limit, future).await.ok(),
    }
}
