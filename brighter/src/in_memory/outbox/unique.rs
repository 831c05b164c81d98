//! Unique posts in an [`InMemoryOutbox`].

use std::time::Duration;

use futures_util::future::BoxFuture;

use super::InMemoryOutbox;
use super::unique_keys::WAIT;
use brighter_core::message::Message;
use brighter_core::outbox::{Arrival, OutboxError, UniqueDeposit, UniqueKey, UniquePosts};

impl InMemoryOutbox {
    /// Waits while a transaction that has not ended holds the key, then does this.
    ///
    /// # Errors
    /// [`OutboxError::Unavailable`]: the transaction has not ended in time.
    pub(super) async fn with_key<T>(
        &self,
        mut take: impl FnMut() -> Option<Result<T, OutboxError>>,
    ) -> Result<T, OutboxError> {
        let waiting = async {
            loop {
                let ended = self.key_ended.notified();
                let mut ended = std::pin::pin!(ended);
                // From here on no end is missed.
                ended.as_mut().enable();
                if let Some(taken) = take() {
                    return taken;
                }
                ended.await;
            }
        };
        tokio::time::timeout(WAIT, waiting).await.unwrap_or_else(|_| {
            let reason = format!("a transaction has held a unique key for {WAIT:?}; end it, or try again");
            Err(OutboxError::Unavailable(reason.into()))
        })
    }
}

impl UniquePosts for InMemoryOutbox {
    fn deposit_unique<'a>(
        &'a self,
        message: &'a Message,
        key: &'a UniqueKey,
        delay: Option<Duration>,
        lease: Option<Duration>,
    ) -> BoxFuture<'a, Result<UniqueDeposit, OutboxError>> {
        Box::pin(async move {
            let deposited = self
                .with_key(|| self.lock().deposit_unique(message, key, delay, lease, self.limit))
                .await?;
            if lease.is_none() && delay.is_none() {
                self.bell.ring(Arrival::Here);
            }
            Ok(deposited)
        })
    }
}
