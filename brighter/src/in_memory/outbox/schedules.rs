//! Recurring work in an [`InMemoryOutbox`].

use futures_util::future::BoxFuture;

use super::InMemoryOutbox;
use brighter_core::message::Message;
use brighter_core::outbox::{Arrival, DueSchedules, FoundSchedules, OutboxError, ScheduleChange, Schedules};

impl Schedules for InMemoryOutbox {
    fn due_schedules<'a>(
        &'a self,
        program: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<DueSchedules, OutboxError>> {
        Box::pin(async move {
            let mut locked = self.schedules_locked();
            let now = locked.0.now();
            let mut rows = Vec::new();
            let mut next = None;
            for (due, row) in locked.1.by_due(program) {
                if due > now || rows.len() == limit {
                    next = Some(due).filter(|due| *due > now);
                    break;
                }
                rows.push(row.clone());
            }
            Ok(DueSchedules::new(rows, now).with_next(next))
        })
    }

    fn find_schedules<'a>(
        &'a self,
        names: &'a [String],
    ) -> BoxFuture<'a, Result<FoundSchedules, OutboxError>> {
        Box::pin(async move {
            let mut locked = self.schedules_locked();
            let now = locked.0.now();
            let rows = names.iter().filter_map(|name| locked.1.get(name).cloned());
            Ok(FoundSchedules::new(rows.collect(), now))
        })
    }

    fn list_schedules<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<FoundSchedules, OutboxError>> {
        Box::pin(async move {
            let mut locked = self.schedules_locked();
            let now = locked.0.now();
            let rows = locked.1.after(after).take(limit);
            Ok(FoundSchedules::new(rows.cloned().collect(), now))
        })
    }

    fn apply_schedules<'a>(
        &'a self,
        changes: &'a [ScheduleChange],
    ) -> BoxFuture<'a, Result<Vec<bool>, OutboxError>> {
        Box::pin(async move {
            let mut locked = self.schedules_locked();
            let made: Vec<_> = changes.iter().map(|change| locked.1.is_current(change)).collect();
            let current = || changes.iter().zip(&made).filter(|(_, made)| **made);
            let messages = current().flat_map(|(change, _)| change.messages());
            {
                let mut state = self.lock();
                let messages: Vec<Message> = messages
                    .filter(|message| state.get(&message.header.id).is_none())
                    .cloned()
                    .collect();
                state.deposit(&messages, None, self.limit)?;
            }
            for (change, _) in current() {
                locked.1.apply(change);
            }
            drop(locked);
            self.bell.ring(Arrival::Here);
            Ok(made)
        })
    }
}
