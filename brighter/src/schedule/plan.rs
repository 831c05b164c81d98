//! What a schedule does at a time: arithmetic alone, without a store.

use brighter_core::outbox::{ScheduleRow, ScheduleState};
use brighter_cron::Calendar;

use super::occurrence::{Occurrence, millis_of, system_time};
use super::settings::{Missed, Overlap, ScheduleSettings};

/// How late an occurrence may be that is not missed, in milliseconds.
const GRACE: i64 = 60_000;

/// How soon an occurrence that waits for the last one is looked at again, in milliseconds.
const LOOK_AGAIN: i64 = 1_000;

/// The actions of a due schedule.
#[derive(Debug)]
pub(super) struct SchedulePlan {
    /// The schedule afterwards.
    pub(super) row: ScheduleRow,
    /// The occurrences to fire, in their order.
    pub(super) occurrences: Vec<Occurrence>,
}

/// A schedule with everything that is made of its texts.
#[derive(Clone, Copy)]
pub(super) struct Readable<'a> {
    pub(super) row: &'a ScheduleRow,
    pub(super) settings: &'a ScheduleSettings,
    pub(super) calendar: &'a Calendar,
}

impl Readable<'_> {
    /// Returns whether the last occurrence has to be over before the next one.
    pub(super) fn waits_for(&self, now: i64) -> bool {
        let Some(last) = self.row.last_at.map(millis_of) else {
            return false;
        };
        let timeout = i64::try_from(self.settings.overlap_timeout.as_millis()).unwrap_or(i64::MAX);
        self.settings.overlap != Overlap::Allow && last.saturating_add(timeout) > now
    }

    /// Returns what it does now. `is_running` says that the last occurrence is not over.
    pub(super) fn plan(&self, now: i64, is_running: bool) -> SchedulePlan {
        let mut row = self.row.clone();
        let mut occurrences = Vec::new();
        if let Some(asked) = row.run_at.take() {
            occurrences.push(self.occurrence(millis_of(asked), true));
        }
        let delay = self.settings.delay_of(&row.name);
        let mut held_until = None;
        let next = row
            .next_at
            .map(millis_of)
            .filter(|_| row.state == ScheduleState::Active);
        if let Some(next) = next.filter(|next| next.saturating_add(delay) <= now) {
            if is_running && self.settings.overlap == Overlap::Queue {
                held_until = Some(now.saturating_add(LOOK_AGAIN));
            } else {
                let times = match self.settings.overlap {
                    _ if is_running => Vec::new(),
                    // It was held, which is not missed.
                    Overlap::Queue if self.was_held(next, delay) => {
                        let newest = self.calendar.newest(next, now - delay, 1);
                        newest.into_iter().map(|time| (time, false)).collect()
                    }
                    _ => self.times(next, now - delay),
                };
                for (time, is_missed) in times {
                    let mut occurrence = self.occurrence(time, false);
                    occurrence.is_missed = is_missed;
                    occurrences.push(occurrence);
                }
                row.next_at = self.calendar.next(now - delay).map(system_time);
            }
        }
        let mut previous = row.last_at;
        for occurrence in &mut occurrences {
            occurrence.previous = previous;
            previous = Some(occurrence.scheduled_for);
        }
        if let Some(last) = occurrences.last() {
            row.last_at = Some(last.scheduled_for);
            row.last_id = Some(last.id.clone());
        }
        set_due(&mut row, delay);
        if let Some(held) = held_until {
            row.due_at = Some(system_time(held));
        }
        SchedulePlan { row, occurrences }
    }

    fn occurrence(&self, time: i64, is_on_request: bool) -> Occurrence {
        let (row, calendar) = (self.row, self.calendar);
        let mut occurrence = Occurrence::at(&row.name, time, calendar, &self.settings.zone, is_on_request);
        occurrence.next = calendar.next(time).map(system_time);
        occurrence
    }

    fn was_held(&self, next: i64, delay: i64) -> bool {
        let due = self.row.due_at.map(millis_of);
        due.is_some_and(|due| due > next.saturating_add(delay))
    }

    /// Returns the times in this range that are fired, and whether each was missed.
    fn times(&self, from: i64, to: i64) -> Vec<(i64, bool)> {
        let (within, at_most) = match self.settings.missed {
            Missed::None => (GRACE, 1),
            Missed::Last { within } => (in_millis(within), 1),
            Missed::All { within, at_most } => (in_millis(within), at_most),
        };
        let from = from.max(to.saturating_sub(within.max(GRACE)));
        let newest = self.calendar.newest(from, to, at_most);
        newest.into_iter().map(|time| (time, to - time > GRACE)).collect()
    }
}

fn in_millis(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Sets when a schedule is due, by what it waits for.
pub(super) fn set_due(row: &mut ScheduleRow, delay: i64) {
    let is_active = row.state == ScheduleState::Active;
    let next = row.next_at.filter(|_| is_active).map(millis_of);
    let next = next.map(|next| system_time(next.saturating_add(delay)));
    let asked = row.run_at.filter(|_| row.state != ScheduleState::Gone);
    row.due_at = match (next, asked) {
        (Some(next), Some(asked)) => Some(next.min(asked)),
        (next, asked) => next.or(asked),
    };
}

#[cfg(test)]
mod tests;
