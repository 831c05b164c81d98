//! What an in-memory outbox holds until its time has come.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use brighter_core::__private::clock::after;
use brighter_core::id::MessageId;
use brighter_core::message::Message;
use brighter_core::outbox::OutboxError;

/// Messages that are not to be sent before their time.
#[derive(Default)]
pub(super) struct Scheduled(HashMap<MessageId, Waiting>);

struct Waiting {
    message: Message,
    due: Instant,
    /// Whether a transaction that has not ended cancels or reschedules it: until then it is not due, and nobody else
    /// may change it.
    locked: bool,
}

impl Scheduled {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, id: &MessageId) -> Option<&Message> {
        self.0.get(id).map(|waiting| &waiting.message)
    }

    /// For how long a message still waits.
    pub(super) fn due_in(&self, id: &MessageId) -> Option<Duration> {
        let due = self.0.get(id)?.due;
        Some(due.saturating_duration_since(Instant::now()))
    }

    pub(super) fn add(&mut self, message: Message, due: Instant) {
        let id = message.header.id.clone();
        let locked = false;
        self.0.insert(id, Waiting { message, due, locked });
    }

    pub(super) fn cancel(&mut self, id: &MessageId) -> Result<bool, OutboxError> {
        let is_there = self.unlocked(id)?.is_some();
        if is_there {
            self.0.remove(id);
        }
        Ok(is_there)
    }

    pub(super) fn reschedule(&mut self, id: &MessageId, delay: Duration) -> Result<bool, OutboxError> {
        let Some(waiting) = self.unlocked(id)? else {
            return Ok(false);
        };
        waiting.due = after(Instant::now(), delay);
        Ok(true)
    }

    /// Locks a message for a transaction. Says whether it is there.
    pub(super) fn lock(&mut self, id: &MessageId) -> Result<bool, OutboxError> {
        let Some(waiting) = self.unlocked(id)? else {
            return Ok(false);
        };
        waiting.locked = true;
        Ok(true)
    }

    pub(super) fn unlock(&mut self, id: &MessageId) {
        if let Some(waiting) = self.0.get_mut(id) {
            waiting.locked = false;
        }
    }

    /// Takes a message out, whoever has locked it.
    pub(super) fn take(&mut self, id: &MessageId) -> Option<(Message, Instant)> {
        let waiting = self.0.remove(id)?;
        Some((waiting.message, waiting.due))
    }

    /// Changes the time of a message, whoever has locked it.
    pub(super) fn set_due(&mut self, id: &MessageId, due: Instant) {
        if let Some(waiting) = self.0.get_mut(id) {
            waiting.due = due;
        }
    }

    fn unlocked(&mut self, id: &MessageId) -> Result<Option<&mut Waiting>, OutboxError> {
        match self.0.get_mut(id) {
            Some(waiting) if waiting.locked => {
                let reason = format!("another transaction cancels or reschedules message `{id}`");
                Err(OutboxError::Unavailable(reason.into()))
            }
            waiting => Ok(waiting),
        }
    }

    /// Takes out those whose time has come, the first to be due first, at most `limit`.
    pub(super) fn take_due(&mut self, limit: usize) -> Vec<Message> {
        let now = Instant::now();
        let due = self.0.iter().filter(|(_, it)| it.due <= now && !it.locked);
        let mut due: Vec<_> = due.map(|(id, it)| (it.due, id.clone())).collect();
        due.sort();
        due.truncate(limit);
        let ids = due.into_iter();
        ids.filter_map(|(_, id)| self.take(&id).map(|(message, _)| message))
            .collect()
    }
}
