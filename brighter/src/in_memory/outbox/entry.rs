//! A message that an in-memory outbox holds, and how far it has come.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use brighter_core::id::MessageId;
use brighter_core::message::{Message, RoutingKey};
use brighter_core::outbox::DeadMessage;

#[derive(Clone, Copy)]
pub(super) enum EntryState {
    Outstanding(u64),
    Dead { number: u64, since: Instant },
    Dispatched { since: Instant },
}

pub(super) struct OutboxEntry {
    pub(super) message: Message,
    pub(super) place: EntryState,
    pub(super) deposited: Instant,
    pub(super) deposited_at: SystemTime,
    pub(super) attempts: u32,
    pub(super) last_error: Option<String>,
    pub(super) not_before: Option<Instant>,
    pub(super) claimed_until: Option<Instant>,
}

impl OutboxEntry {
    pub(super) fn new(
        message: Message,
        number: u64,
        deposited: Instant,
        claimed_until: Option<Instant>,
    ) -> Self {
        Self {
            message,
            place: EntryState::Outstanding(number),
            deposited,
            deposited_at: SystemTime::now(),
            attempts: 0,
            last_error: None,
            not_before: None,
            claimed_until,
        }
    }

    /// Its number among the outstanding, if it is one.
    pub(super) fn number(&self) -> Option<u64> {
        match self.place {
            EntryState::Outstanding(number) => Some(number),
            EntryState::Dead { .. } | EntryState::Dispatched { .. } => None,
        }
    }

    pub(super) fn obituary(&self) -> DeadMessage {
        let header = &self.message.header;
        let last_error = self.last_error.clone().unwrap_or_default();
        DeadMessage::new(header.id.clone(), header.topic.clone(), self.attempts, last_error)
    }

    pub(super) fn topic(&self) -> &RoutingKey {
        &self.message.header.topic
    }

    pub(super) fn is_caused_by(&self, causation: &MessageId) -> bool {
        self.message.header.causation_id.as_ref() == Some(causation)
    }

    pub(super) fn is_free(&self, now: Instant) -> bool {
        self.claimed_until.is_none_or(|end| end <= now)
    }

    /// Whether it was deposited before now, and less than this long ago. One of a runtime with another paused clock may
    /// seem to come from the future, which says nothing of those after it.
    pub(super) fn is_young(&self, now: Instant, min_age: Duration) -> bool {
        now.checked_duration_since(self.deposited)
            .is_some_and(|age| age < min_age)
    }

    pub(super) fn is_due(&self, now: Instant, min_age: Duration) -> bool {
        self.is_free(now)
            && self.not_before.is_none_or(|start| start <= now)
            && now.duration_since(self.deposited) >= min_age
    }
}
