//! [`ConnectionEnd`]: what waits for an answer by a connection learns of its end.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Why a connection was closed is known to those who asked by it so soon after it is lost.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The end of one connection. What is asked while a connection ends may never be answered, so every wait for an answer
/// goes through [`while_up`](Self::while_up).
#[derive(Clone, Default)]
pub(super) struct ConnectionEnd(CancellationToken);

impl ConnectionEnd {
    /// Waits for an answer, and returns `None` if the connection ends before.
    pub(super) async fn while_up<T>(&self, asking: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            answer = asking => Some(answer),
            () = self.over() => None,
        }
    }

    /// Returns what ends the waiting when it is dropped: the connection is lost, closed, or kept up no longer.
    pub(super) fn when_dropped(&self) -> DropGuard {
        self.0.clone().drop_guard()
    }

    async fn over(&self) {
        self.0.cancelled().await;
        sleep(LAST_WORDS).await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_with_its_connection_and_not_with_another() {
        let (ours, theirs) = (ConnectionEnd::default(), ConnectionEnd::default());
        let kept = ours.when_dropped();
        drop(theirs.when_dropped());
        assert_eq!(ours.while_up(ready("answer")).await, Some("answer"));
        let waiting = ours.while_up(pending::<()>());
        let ended = tokio::time::timeout(Duration::from_secs(3600), waiting).await;
        assert!(ended.is_err(), "it is up");
        drop(kept);
        assert_eq!(ours.while_up(pending::<()>()).await, None);
        // What comes with the end is still heard.
        let late = async {
            sleep(LAST_WORDS / 2).await;
            "the reason"
        };
        assert_eq!(ours.while_up(late).await, Some("the reason"));
    }
}
