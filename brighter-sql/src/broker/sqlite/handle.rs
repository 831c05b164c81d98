//! The [`BrokerHandle`]: how a broker, its consumers and its deliveries reach the engine.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::request::{EngineRequest, Posting};
use super::row::StoredMessage;
use super::write_queue::WriteQueue;
use brighter_core::channel::{ChannelError, PublishError};

/// How long a call waits for the file.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

/// What all clones share, and every consumer and delivery. Without one the engine ends.
pub(super) struct BrokerHandle {
    pub(super) queue: Arc<WriteQueue>,
    pub(super) path: PathBuf,
    pub(super) confirm_timeout: Duration,
    /// The number of the last consumer.
    pub(super) consumers: AtomicU64,
}

impl BrokerHandle {
    /// The number of a new consumer, which no other of this broker has.
    pub(super) fn next_consumer(&self) -> u64 {
        // From 1: 0 is nobody.
        self.consumers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Asks the engine, and waits for its answer.
    pub(super) async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, ChannelError>>) -> EngineRequest,
    ) -> Result<T, ChannelError> {
        let (reply, answer) = oneshot::channel();
        let request = request(reply);
        if !self.queue.push(|items| items.requests.push(request)) {
            return Err(ChannelError::Closed);
        }
        match timeout(DEADLINE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(ChannelError::Closed),
            Err(_) => Err(ChannelError::TimedOut { after: DEADLINE }),
        }
    }

    /// Queues messages once there is room, and waits until they are on the disk. The wait ends at the deadline.
    pub(super) async fn publish(&self, messages: Vec<StoredMessage>) -> Vec<Result<(), PublishError>> {
        if messages.is_empty() {
            return Vec::new();
        }
        let count = messages.len();
        let (reply, answer) = oneshot::channel();
        let posting = Posting {
            count,
            messages,
            reply,
        };
        let published = async {
            // The queue is as large as the number says, so the permits are there some day.
            let permits = u32::try_from(count).unwrap_or(u32::MAX);
            let _room = self.queue.room.acquire_many(permits).await.ok()?;
            if !self.queue.push(|items| items.postings.push(posting)) {
                return None;
            }
            answer.await.ok()
        };
        let all = |error: &dyn Fn() -> PublishError| (0..count).map(|_| Err(error())).collect();
        let after = self.confirm_timeout;
        match timeout(after, published).await {
            Ok(Some(results)) => results,
            Ok(None) => all(&|| PublishError::Closed),
            Err(_) => all(&|| PublishError::TimedOut { after }),
        }
    }
}

impl Drop for BrokerHandle {
    fn drop(&mut self) {
        self.queue.closing.cancel();
    }
}
