//! What an in-memory outbox holds until its time has come.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use brighter_core::__private::clock::after;
use brighter_core::id::MessageId;
use brighter_core::message::Message;
use brighter_core::outbox::{OutboxError, ScheduledMessage};

/// Messages that are not to be sent before their time.
#[derive(Default)]
pub(super) struct Scheduled(HashMap<MessageId, ScheduledEntry>);

struct ScheduledEntry {
    message: Message,
    due: Instant,
    /// A transaction has changed it and is not over. Until then it stays as it is, as a locked row does.
    is_locked: bool,
}

impl Scheduled {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, id: &MessageId) -> Option<&Message> {
        self.0.get(id).map(|entry| &entry.message)
    }

    /// For how long a message still waits.
    pub(super) fn due_in(&self, id: &MessageId) -> Option<Duration> {
        let entry = self.0.get(id)?;
        Some(entry.due.saturating_duration_since(Instant::now()))
    }

    /// Returns how long ago the first of them was due, if its time has come.
    pub(super) fn overdue(&self) -> Option<Duration> {
        let first = self.0.values().map(|entry| entry.due).min()?;
        Instant::now().checked_duration_since(first)
    }

    /// Returns those that wait, the first to be due first, at most `limit`.
    pub(super) fn list(&self, limit: usize) -> Vec<ScheduledMessage> {
        let mut entries: Vec<_> = self.0.iter().map(|(id, entry)| (entry.due, id, entry)).collect();
        entries.sort_unstable_by_key(|(due, id, _)| (*due, *id));
        let now = Instant::now();
        let listed = entries.into_iter().take(limit).map(|(due, id, entry)| {
            let topic = entry.message.header.topic.clone();
            ScheduledMessage::new(id.clone(), topic, due.saturating_duration_since(now))
        });
        listed.collect()
    }

    pub(super) fn add(&mut self, message: Message, due: Instant) {
        let entry = ScheduledEntry {
            message,
            due,
            is_locked: false,
        };
        self.0.insert(entry.message.header.id.clone(), entry);
    }

    pub(super) fn cancel(&mut self, id: &MessageId) -> Result<bool, OutboxError> {
        Ok(self.unlocked(id)?.is_some() && self.0.remove(id).is_some())
    }

    pub(super) fn reschedule(&mut self, id: &MessageId, delay: Duration) -> Result<bool, OutboxError> {
        let Some(entry) = self.unlocked(id)? else {
            return Ok(false);
        };
        entry.due = after(Instant::now(), delay);
        Ok(true)
    }

    /// Keeps a message as it is until its transaction is over. Says whether it still waits.
    pub(super) fn lock(&mut self, id: &MessageId) -> Result<bool, OutboxError> {
        let Some(entry) = self.unlocked(id)? else {
            return Ok(false);
        };
        entry.is_locked = true;
        Ok(true)
    }

    pub(super) fn unlock(&mut self, id: &MessageId) {
        if let Some(entry) = self.0.get_mut(id) {
            entry.is_locked = false;
        }
    }

    /// Takes out a message that a transaction has locked.
    pub(super) fn take(&mut self, id: &MessageId) -> Option<(Message, Instant)> {
        self.0.remove(id).map(|entry| (entry.message, entry.due))
    }

    fn unlocked(&mut self, id: &MessageId) -> Result<Option<&mut ScheduledEntry>, OutboxError> {
        match self.0.get_mut(id) {
            Some(entry) if entry.is_locked => {
                let reason = format!("a transaction that is not over has changed message `{id}`");
                Err(OutboxError::Unavailable(reason.into()))
            }
            entry => Ok(entry),
        }
    }

    /// Takes out those whose time has come, the first to be due first, at most `limit`.
    pub(super) fn take_due(&mut self, limit: usize) -> Vec<Message> {
        let now = Instant::now();
        let is_due = |entry: &ScheduledEntry| entry.due <= now && !entry.is_locked;
        let due = self.0.iter().filter(|(_, entry)| is_due(entry));
        let mut due: Vec<_> = due.map(|(id, entry)| (entry.due, id.clone())).collect();
        due.sort();
        due.truncate(limit);
        let ids = due.into_iter();
        ids.filter_map(|(_, id)| self.0.remove(&id).map(|entry| entry.message))
            .collect()
    }
}
