//! The stored schedules of recurring work, and the clock by which they become due.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use tokio::time::Instant;

use brighter_core::outbox::{ScheduleChange, ScheduleOrigin, ScheduleRow};

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
    pub(super) fn now(&mut self) -> SystemTime {
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

    /// Returns the schedules that this program may fire, the first to become due first.
    pub(super) fn by_due<'a>(
        &'a self,
        program: &'a str,
    ) -> impl Iterator<Item = (SystemTime, &'a ScheduleRow)> {
        let rows = self
            .due
            .iter()
            .filter_map(|(due, name)| Some((*due, self.rows.get(name)?)));
        rows.filter(move |(_, row)| match &row.origin {
            ScheduleOrigin::Code { program: other, .. } => other == program,
            _ => true,
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<&ScheduleRow> {
        self.rows.get(name)
    }

    /// Returns all rows by name, those after this name if one is given.
    pub(super) fn after<'a>(&'a self, name: Option<&'a str>) -> impl Iterator<Item = &'a ScheduleRow> {
        let rows = self.rows.values();
        rows.filter(move |row| name.is_none_or(|name| row.name.as_str() > name))
    }

    /// Returns whether the version of the schedule is the one that was read.
    pub(super) fn is_current(&self, change: &ScheduleChange) -> bool {
        let found = self.rows.get(&change.row().name);
        match change {
            ScheduleChange::Add { .. } => found.is_none(),
            _ => found.is_some_and(|found| found.version == change.row().version),
        }
    }

    pub(super) fn apply(&mut self, change: &ScheduleChange) {
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
