//! [`BrokerHandle`]: the connection of a broker, its consumers and its deliveries to the engine.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::error::FileFailure;
use super::request::{EngineRequest, Posting};
use super::row::StoredMessage;
use super::write_queue::WriteQueue;
use brighter_core::channel::{ChannelError, PublishError};
use brighter_core::message::ChannelName;

/// The deadline of a call.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

/// The state that all clones, consumers and deliveries share. The engine ends when it is dropped.
pub(super) struct BrokerHandle {
    pub(super) queue: Arc<WriteQueue>,
    pub(super) path: PathBuf,
    pub(super) confirm_timeout: Duration,
    /// The number of the last consumer.
    pub(super) consumers: AtomicU64,
}

impl BrokerHandle {
    /// Returns the number of a new consumer, unique within this broker.
    pub(super) fn next_consumer(&self) -> u64 {
        // From 1: 0 means no consumer.
        self.consumers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Sends a request to the engine, and waits for its answer.
    pub(super) async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, ChannelError>>) -> EngineRequest,
    ) -> Result<T, ChannelError> {
        let (reply, answer) = oneshot::channel();
        let request = request(reply);
        if !self.queue.push(|items| items.requests.push(request)) {
            return Err(self.gone().await);
        }
        match timeout(DEADLINE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(self.gone().await),
            Err(_) => Err(ChannelError::TimedOut { after: DEADLINE }),
        }
    }

    /// Returns the error after the engine has ended.
    async fn gone(&self) -> ChannelError {
        let mistake = self.mistake().await;
        mistake.map_or(ChannelError::Closed, |failure| failure.of_channel())
    }

    /// Returns why the engine has ended, unless it was closed.
    async fn mistake(&self) -> Option<FileFailure> {
        if self.queue.closing.is_cancelled() {
            return None;
        }
        // The engine stores the reason after it has dropped the replies.
        let _ = timeout(DEADLINE, self.queue.closed.cancelled()).await;
        self.queue.failure()
    }

    /// Queues messages once there is room, and waits until they are on the disk, up to the deadline.
    pub(super) async fn publish(
        &self,
        messages: Vec<StoredMessage>,
        to: Option<ChannelName>,
    ) -> Vec<Result<(), PublishError>> {
        if messages.is_empty() {
            return Vec::new();
        }
        let count = messages.len();
        let (reply, answer) = oneshot::channel();
        let posting = Posting {
            count,
            messages,
            to,
            reply,
        };
        let published = async {
            // The queue has this many permits in total, so the request can be met.
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
            Ok(None) => match self.mistake().await {
                Some(failure) => all(&|| failure.of_publish(after)),
                None => all(&|| PublishError::Closed),
            },
            Err(_) => all(&|| PublishError::TimedOut { after }),
        }
    }
}

impl Drop for BrokerHandle {
    fn drop(&mut self) {
        self.queue.closing.cancel();
    }
}

#[cfg(test)]
mod tests {
    use crate::broker::sqlite::SqliteBroker;
    use crate::broker::sqlite::request::EngineRequest;
    use brighter_core::channel::{Broker, BrokerStatus, Channel, ChannelError, Producer, PublishError};
    use brighter_core::id::MessageId;
    use brighter_core::message::{Message, MessageBody, MessageHeader, MessageType};

    #[tokio::test]
    async fn a_panicked_thread_fails_callers_and_its_status() {
        let folder = tempfile::tempdir().unwrap();
        let broker = SqliteBroker::open(folder.path().join("broker.db")).await.unwrap();
        let channel = Channel::new("c", "topic");
        let mut consumer = broker.consume(&channel).await.unwrap();
        broker
            .0
            .queue
            .push(|items| items.requests.push(EngineRequest::Panic));
        assert!(consumer.receive().await.is_none(), "nothing comes any more");
        let consumed = broker.consume(&channel).await;
        assert!(
            matches!(consumed, Err(ChannelError::Disconnected(_))),
            "{consumed:?}"
        );
        let header = MessageHeader::new(MessageId::new(), "topic", MessageType::Event);
        let published = broker.publish(&Message::new(header, MessageBody::new(""))).await;
        assert!(
            matches!(published, Err(PublishError::Disconnected(_))),
            "{published:?}"
        );
        let status = broker.status();
        assert!(
            matches!(&status, BrokerStatus::Disconnected { reason } if reason.contains("has panicked")),
            "{status:?}"
        );
        broker.close().await;
        assert_eq!(broker.status(), BrokerStatus::Closed);
    }
}
