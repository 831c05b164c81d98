//! What an in-memory outbox holds until its time has come.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use brighter_core::__private::clock::after;
use brighter_core::id::MessageId;
use brighter_core::message::Message;

/// Messages that are not to be sent before their time.
#[derive(Default)]
pub(super) struct Scheduled(HashMap<MessageId, (Message, Instant)>);

impl Scheduled {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, id: &MessageId) -> Option<&Message> {
        self.0.get(id).map(|(message, _)| message)
    }

    /// For how long a message still waits.
    pub(super) fn due_in(&self, id: &MessageId) -> Option<Duration> {
        let (_, due) = self.0.get(id)?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    pub(super) fn add(&mut self, message: Message, due: Instant) {
        self.0.insert(message.header.id.clone(), (message, due));
    }

    pub(super) fn cancel(&mut self, id: &MessageId) -> bool {
        self.0.remove(id).is_some()
    }

    pub(super) fn reschedule(&mut self, id: &MessageId, delay: Duration) -> bool {
        let Some((_, due)) = self.0.get_mut(id) else {
            return false;
        };
        *due = after(Instant::now(), delay);
        true
    }

    /// Takes out those whose time has come, the first to be due first, at most `limit`.
    pub(super) fn take_due(&mut self, limit: usize) -> Vec<Message> {
        let now = Instant::now();
        let due = self.0.iter().filter(|(_, (_, due))| *due <= now);
        let mut due: Vec<_> = due.map(|(id, (_, due))| (*due, id.clone())).collect();
        due.sort();
        due.truncate(limit);
        let ids = due.into_iter();
        ids.filter_map(|(_, id)| self.0.remove(&id).map(|(message, _)| message))
            .collect()
    }
}
