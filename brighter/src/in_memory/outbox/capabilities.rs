//! What an [`InMemoryOutbox`] can do beyond posting and sweeping: all there is.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::InMemoryOutbox;
use brighter_core::__private::clock::after;
use brighter_core::id::MessageId;
use brighter_core::message::Message;
use brighter_core::outbox::{
    Archive, Archiving, Arrival, DeadMessage, DeadMessages, Inspection, MessageState, OutboxError, Resending,
    ScheduledMessage, Scheduling, Selection,
};

impl Scheduling for InMemoryOutbox {
    fn schedule<'a>(
        &'a self,
        message: &'a Message,
        delay: Duration,
    ) -> BoxFuture<'a, Result<bool, OutboxError>> {
        Box::pin(async move {
            let due = after(Instant::now(), delay);
            self.lock().schedule(message, due, self.limit)
        })
    }

    fn reschedule<'a>(
        &'a self,
        id: &'a MessageId,
        delay: Duration,
    ) -> BoxFuture<'a, Result<bool, OutboxError>> {
        Box::pin(async move { self.lock().scheduled.reschedule(id, delay) })
    }

    fn cancel<'a>(&'a self, id: &'a MessageId) -> BoxFuture<'a, Result<bool, OutboxError>> {
        Box::pin(async move { self.lock().scheduled.cancel(id) })
    }

    fn scheduled(&self, limit: usize) -> BoxFuture<'_, Result<Vec<ScheduledMessage>, OutboxError>> {
        Box::pin(async move { Ok(self.lock().scheduled.list(limit)) })
    }

    fn make_due(&self, limit: usize) -> BoxFuture<'_, Result<u64, OutboxError>> {
        Box::pin(async move { Ok(self.lock().make_due(limit)) })
    }
}

impl Inspection for InMemoryOutbox {
    fn get<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<Vec<Message>, OutboxError>> {
        Box::pin(async move {
            let state = self.lock();
            Ok(ids.iter().filter_map(|id| state.get(id).cloned()).collect())
        })
    }

    fn state<'a>(&'a self, id: &'a MessageId) -> BoxFuture<'a, Result<Option<MessageState>, OutboxError>> {
        Box::pin(async move { Ok(self.lock().how_far(id)) })
    }

    fn outstanding_of<'a>(
        &'a self,
        causation: &'a MessageId,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<MessageId>, OutboxError>> {
        Box::pin(async move {
            let state = self.lock();
            let caused = state
                .outstanding()
                .filter(|(_, held)| held.is_caused_by(causation));
            let ids = caused.map(|(_, held)| held.message.header.id.clone());
            Ok(ids.take(limit).collect())
        })
    }
}

impl DeadMessages for InMemoryOutbox {
    fn dead(&self, limit: usize) -> BoxFuture<'_, Result<Vec<DeadMessage>, OutboxError>> {
        Box::pin(async move {
            let state = self.lock();
            let dead = state.dead().take(limit);
            Ok(dead.map(|(_, held)| held.obituary()).collect())
        })
    }

    fn revive<'a>(&'a self, ids: &'a [MessageId]) -> BoxFuture<'a, Result<u64, OutboxError>> {
        Box::pin(async move {
            let revived = self.lock().revive(ids);
            self.bell.ring(Arrival::Here);
            Ok(revived)
        })
    }
}

impl Resending for InMemoryOutbox {
    fn replay<'a>(&'a self, causation: &'a MessageId) -> BoxFuture<'a, Result<u64, OutboxError>> {
        Box::pin(async move {
            let replayed = self.lock().replay(causation, self.limit)?;
            self.bell.ring(Arrival::Here);
            Ok(replayed)
        })
    }

    fn send_again<'a>(&'a self, which: &'a Selection) -> BoxFuture<'a, Result<u64, OutboxError>> {
        Box::pin(async move {
            let again = self.lock().send_again(which, self.limit)?;
            self.bell.ring(Arrival::Here);
            Ok(again)
        })
    }
}

impl Archiving for InMemoryOutbox {
    /// Removes messages, whether they were to be kept or not: there is nowhere else.
    fn archive<'a>(&'a self, what: &'a Archive) -> BoxFuture<'a, Result<u64, OutboxError>> {
        Box::pin(async move { Ok(self.lock().archive(what)) })
    }
}
