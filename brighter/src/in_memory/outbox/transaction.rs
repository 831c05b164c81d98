//! The [`InMemoryTransaction`]: changes that are stored together, or not at all.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::InMemoryOutbox;
use brighter_core::__private::clock::after;
use brighter_core::id::MessageId;
use brighter_core::message::Message;
use brighter_core::outbox::{OutboxError, OutboxTransaction, UniqueDeposit, UniqueKey};

/// A transaction of an [`InMemoryOutbox`]: what is deposited in it is stored when it is committed, and
/// nothing is when it is dropped.
///
/// A scheduled message that it cancels or reschedules is locked until the transaction ends: it is not sent meanwhile,
/// and for others it is [`Unavailable`](OutboxError::Unavailable).
#[derive(Debug)]
#[must_use = "a transaction that is dropped stores nothing"]
pub struct InMemoryTransaction {
    outbox: InMemoryOutbox,
    messages: Vec<Message>,
    /// Each with its time.
    scheduled: Vec<(Message, Instant)>,
    /// The changes of messages that wait in the outbox: their new time, or `None` if they are cancelled.
    changes: Vec<(MessageId, Option<Instant>)>,
    /// The unique keys that it has taken, each with its message.
    keys: Vec<(UniqueKey, MessageId)>,
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
            changes: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// Makes every change of the transaction, or none.
    ///
    /// # Errors
    /// [`OutboxError::Full`] when there is no room for all of it, [`OutboxError::IdInUse`] when one has the id of
    /// another message.
    pub fn commit(mut self) -> Result<(), OutboxError> {
        self.outbox
            .store(&self.messages, &self.scheduled, &self.changes)?;
        // What was changed is not locked any more.
        self.changes.clear();
        self.outbox.end_keys(&std::mem::take(&mut self.keys), true);
        Ok(())
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

    /// Gives a message that waits another time, or none. Says whether it waits, as this transaction sees it.
    fn change(&mut self, id: &MessageId, due: Option<Instant>) -> Result<bool, OutboxError> {
        let mut own = self.scheduled.iter();
        if let Some(own) = own.position(|(message, _)| message.header.id == *id) {
            match due {
                Some(due) => self.scheduled[own].1 = due,
                None => drop(self.scheduled.remove(own)),
            }
            return Ok(true);
        }
        if let Some((_, change)) = self.changes.iter_mut().find(|(changed, _)| changed == id) {
            if change.is_none() {
                return Ok(false);
            }
            *change = due;
            return Ok(true);
        }
        let waits = self.outbox.lock_scheduled(id)?;
        if waits {
            self.changes.push((id.clone(), due));
        }
        Ok(waits)
    }
}

/// Rolls back the changes that were not committed.
impl Drop for InMemoryTransaction {
    fn drop(&mut self) {
        if !self.changes.is_empty() {
            self.outbox.unlock_scheduled(&self.changes);
        }
        self.outbox.end_keys(&self.keys, false);
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

    fn deposit_unique<'a>(
        &'a mut self,
        outbox: &'a InMemoryOutbox,
        message: &'a Message,
        key: &'a UniqueKey,
        delay: Option<Duration>,
    ) -> BoxFuture<'a, Result<UniqueDeposit, OutboxError>> {
        Box::pin(async move {
            self.check(outbox)?;
            let id = &message.header.id;
            if let Some((own, by)) = self.keys.iter().find(|(own, _)| own.as_str() == key.as_str()) {
                return Ok(match by == id {
                    true => UniqueDeposit::Stored { is_new: false },
                    false => UniqueDeposit::Held {
                        by: by.clone(),
                        left: own.window(),
                    },
                });
            }
            let outbox = self.outbox.clone();
            let taken = outbox.with_key(|| outbox.take_key(key, id)).await?;
            if matches!(taken, UniqueDeposit::Stored { .. }) {
                self.keys.push((key.clone(), id.clone()));
                match delay {
                    None => self.messages.push(message.clone()),
                    Some(delay) => {
                        let due = after(Instant::now(), delay);
                        self.scheduled.push((message.clone(), due));
                    }
                }
            }
            Ok(taken)
        })
    }

    fn cancel<'a>(
        &'a mut self,
        outbox: &'a InMemoryOutbox,
        id: &'a MessageId,
    ) -> BoxFuture<'a, Result<bool, OutboxError>> {
        Box::pin(async move {
            self.check(outbox)?;
            self.change(id, None)
        })
    }

    fn reschedule<'a>(
        &'a mut self,
        outbox: &'a InMemoryOutbox,
        id: &'a MessageId,
        delay: Duration,
    ) -> BoxFuture<'a, Result<bool, OutboxError>> {
        Box::pin(async move {
            self.check(outbox)?;
            self.change(id, Some(after(Instant::now(), delay)))
        })
    }
}
