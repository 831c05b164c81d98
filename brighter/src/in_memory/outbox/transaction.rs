//! The [`InMemoryTransaction`]: deposits that are stored together, or not at all.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::InMemoryOutbox;
use brighter_core::__private::clock::after;
use brighter_core::message::Message;
use brighter_core::outbox::{OutboxError, OutboxTransaction};

/// A transaction of an [`InMemoryOutbox`]: what is deposited in it is stored when it is committed, and
/// nothing is when it is dropped.
#[derive(Debug)]
#[must_use = "a transaction that is dropped stores nothing"]
pub struct InMemoryTransaction {
    outbox: InMemoryOutbox,
    messages: Vec<Message>,
    /// Each with its time.
    scheduled: Vec<(Message, Instant)>,
}

impl InMemoryOutbox {
    /// Begins a transaction, whose deposits are in the outbox once it is committed.
    #[must_use = "a transaction that is dropped stores nothing"]
    pub fn begin(&self) -> InMemoryTransaction {
        InMemoryTransaction::new(self.clone())
    }
}

impl InMemoryTransaction {
    fn new(outbox: InMemoryOutbox) -> Self {
        Self {
            outbox,
            messages: Vec::new(),
            scheduled: Vec::new(),
        }
    }

    /// Stores everything that was deposited in it, or nothing.
    ///
    /// # Errors
    /// [`OutboxError::Full`] when there is no room for all of it, [`OutboxError::IdInUse`] when one has the id of
    /// another message.
    pub fn commit(self) -> Result<(), OutboxError> {
        self.outbox.store(&self.messages, &self.scheduled)
    }

    /// Stores nothing, as dropping it does.
    pub fn rollback(self) {}

    fn check(&self, outbox: &InMemoryOutbox) -> Result<(), OutboxError> {
        if self.outbox.is_same(outbox) {
            return Ok(());
        }
        Err(OutboxError::Other(
            "the transaction is one of another in-memory outbox".into(),
        ))
    }
}

impl OutboxTransaction<InMemoryOutbox> for InMemoryTransaction {
    fn deposit<'a>(
        &'a mut self,
        outbox: &'a InMemoryOutbox,
        messages: &'a [Message],
    ) -> BoxFuture<'a, Result<(), OutboxError>> {
        Box::pin(async move {
            self.check(outbox)?;
            self.messages.extend_from_slice(messages);
            Ok(())
        })
    }

    fn schedule<'a>(
        &'a mut self,
        outbox: &'a InMemoryOutbox,
        message: &'a Message,
        delay: Duration,
    ) -> BoxFuture<'a, Result<(), OutboxError>> {
        Box::pin(async move {
            self.check(outbox)?;
            self.scheduled
                .push((message.clone(), after(Instant::now(), delay)));
            Ok(())
        })
    }
}
