//! The [`InMemoryTransaction`]: changes that are stored together, or not at all.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::InMemoryOutbox;
use brighter_core::__private::clock::after;
use brighter_core::id::MessageId;
use brighter_core::message::Message;
use brighter_core::outbox::{OutboxError, OutboxTransaction};

/// A transaction of an [`InMemoryOutbox`]: what is deposited in it is stored when it is committed, and
/// nothing is when it is dropped.
///
/// A scheduled message that it cancels or reschedules is locked until the transaction ends: it is not sent meanwhile,
/// and for others it is [`Unavailable`](OutboxError::Unavailable).
#[derive(Debug)]
#[must_use = "a transaction that is dropped stores nothing"]
pub struct InMemoryTransaction {
    outbox: InMemoryOutbox,
    changes: Changes,
}

/// What a transaction changes.
#[derive(Debug, Default)]
pub(in crate::in_memory) struct Changes {
    pub(super) deposits: Vec<Message>,
    /// Each with its time.
    pub(super) scheduled: Vec<(Message, Instant)>,
    /// The scheduled messages of the outbox that this transaction has locked, each with its new time. Without one it is
    /// cancelled.
    pub(super) locked: HashMap<MessageId, Option<Instant>>,
}

impl InMemoryTransaction {
    pub(super) fn new(outbox: InMemoryOutbox) -> Self {
        Self {
            outbox,
            changes: Changes::default(),
        }
    }

    /// Makes every change of the transaction, or none.
    ///
    /// # Errors
    /// [`OutboxError::Full`] when there is no room for all of it, [`OutboxError::IdInUse`] when one has the id of
    /// another message.
    pub fn commit(self) -> Result<(), OutboxError> {
        self.outbox.store(&self.changes)
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

    /// Changes the time of a scheduled message, or cancels it. Says whether it still waits.
    fn change(&mut self, id: &MessageId, due: Option<Instant>) -> Result<bool, OutboxError> {
        let Changes {
            scheduled, locked, ..
        } = &mut self.changes;
        if let Some(index) = scheduled.iter().position(|(message, _)| message.header.id == *id) {
            match due {
                Some(due) => scheduled[index].1 = due,
                None => drop(scheduled.remove(index)),
            }
            return Ok(true);
        }
        match locked.get_mut(id) {
            // This transaction has cancelled it.
            Some(None) => Ok(false),
            Some(changed) => {
                *changed = due;
                Ok(true)
            }
            None => {
                let is_there = self.outbox.lock_scheduled(id)?;
                if is_there {
                    locked.insert(id.clone(), due);
                }
                Ok(is_there)
            }
        }
    }
}

impl Drop for InMemoryTransaction {
    fn drop(&mut self) {
        if !self.changes.locked.is_empty() {
            self.outbox.unlock_scheduled(self.changes.locked.keys());
        }
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
            self.changes.deposits.extend_from_slice(messages);
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
            let due = after(Instant::now(), delay);
            self.changes.scheduled.push((message.clone(), due));
            Ok(())
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
