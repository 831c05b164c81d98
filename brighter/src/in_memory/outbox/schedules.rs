//! The schedules of recurring work in an [`InMemoryOutbox`], and the clock by which they become due.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::InMemoryOutbox;
use brighter_core::message::Message;
use brighter_core::outbox::{
    Arrival, DueSchedules, FoundSchedules, OutboxError, ScheduleChange, ScheduleOrigin, ScheduleRow,
    Schedules,
};

/// A clock that goes on with tokio's, so that a test can pause it, and never goes back.
pub(super) struct ScheduleClock {
    began: SystemTime,
    began_at: Instant,
}

impl Default for ScheduleClock {
    fn default() -> Self {
        Self {
            began: SystemTime::now(),
            began_at: Instant::now(),
        }
    }
}

impl ScheduleClock {
    pub(super) fn set(&mut self, time: SystemTime) {
        (self.began, self.began_at) = (time, Instant::now());
    }

    /// Each runtime with a paused clock has a clock of its own, which may be behind that of the last one.
    fn now(&mut self) -> SystemTime {
        let now = self.began + self.began_at.elapsed();
        self.set(now);
        now
    }
}

#[derive(Default)]
pub(super) struct StoredSchedules {
    rows: BTreeMap<String, ScheduleRow>,
    due: BTreeSet<(SystemTime, String)>,
}

impl StoredSchedules {
    fn put(&mut self, row: ScheduleRow) {
        self.take(&row.name);
        self.due.extend(row.due_at.map(|due| (due, row.name.clone())));
        self.rows.insert(row.name.clone(), row);
    }

    fn take(&mut self, name: &str) {
        if let Some(old) = self.rows.remove(name)
            && let Some(due) = old.due_at
        {
            self.due.remove(&(due, old.name));
        }
    }

    /// Those that this program may fire, the first to become due first.
    fn by_due<'a>(&'a self, program: &'a str) -> impl Iterator<Item = (SystemTime, &'a ScheduleRow)> {
        let rows = self
            .due
            .iter()
            .filter_map(|(due, name)| Some((*due, self.rows.get(name)?)));
        rows.filter(move |(_, row)| match &row.origin {
            ScheduleOrigin::Code { program: other, .. } => other == program,
            _ => true,
        })
    }

    /// Returns whether the version of the schedule is the one that was read.
    fn is_current(&self, change: &ScheduleChange) -> bool {
        let found = self.rows.get(&change.row().name);
        match change {
            ScheduleChange::Add { .. } => found.is_none(),
            _ => found.is_some_and(|found| found.version == change.row().version),
        }
    }

    fn apply(&mut self, change: &ScheduleChange) {
        let mut row = change.row().clone();
        row.version += 1;
        match change {
            ScheduleChange::Add { .. } => row.version = 1,
            ScheduleChange::Advance { .. } => {
                if let Some(kept) = self.rows.get(&row.name) {
                    row.origin = kept.origin.clone();
                    row.expression.clone_from(&kept.expression);
                    row.zone.clone_from(&kept.zone);
                    row.settings.clone_from(&kept.settings);
                    row.template.clone_from(&kept.template);
                }
            }
            ScheduleChange::Remove { .. } => return self.take(&row.name),
            _ => {}
        }
        self.put(row);
    }
}

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
            let rows = names.iter().filter_map(|name| locked.1.rows.get(name).cloned());
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
            let rows = locked.1.rows.values();
            let rows = rows.filter(|row| after.is_none_or(|after| row.name.as_str() > after));
            Ok(FoundSchedules::new(rows.take(limit).cloned().collect(), now))
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
