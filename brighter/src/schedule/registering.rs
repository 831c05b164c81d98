//! Brings the rows of a store in line with the schedules of the code, when a program starts.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use brighter_core::__private::fault_point;
use brighter_core::outbox::{
    OutboxError, ScheduleChange, ScheduleOrigin, ScheduleRow, ScheduleState, Schedules,
};
use tokio::time::Instant;

use super::make::CodeSchedule;
use super::occurrence::{millis_of, system_time};
use super::plan::set_due;

/// How many schedules are read at once.
const PAGE: usize = 500;

/// For so long after the start the rows are looked at again, and this often: in a rolling deploy the version before may
/// start once more, and take new schedules for gone.
const WATCHED_FOR: Duration = Duration::from_secs(10 * 60);
const WATCHED_EVERY: Duration = Duration::from_secs(60);

/// When the rows are to be looked at.
#[derive(Default)]
pub(super) struct Registering(Mutex<Option<ScheduleRegistration>>);

struct ScheduleRegistration {
    first: Instant,
    last: Instant,
}

impl Registering {
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let registered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        registered.as_ref().is_none_or(|registered| {
            now.duration_since(registered.last) >= WATCHED_EVERY
                && registered.last.duration_since(registered.first) < WATCHED_FOR
        })
    }

    /// Returns whether the rows were never looked at.
    pub(super) fn is_start(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    pub(super) fn done(&self, now: Instant) {
        let mut registered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *registered {
            Some(registered) => registered.last = now,
            None => {
                *registered = Some(ScheduleRegistration {
                    first: now,
                    last: now,
                });
            }
        }
    }
}

/// Adds the schedules that are new in the code, changes those that are different there, and pauses those that are gone
/// from it. Each is in the log. Only a start tells what is gone: else two versions would undo each other's work.
pub(super) async fn register(
    program: &str,
    code: &BTreeMap<String, CodeSchedule>,
    store: &dyn Schedules,
    is_start: bool,
) -> Result<(), OutboxError> {
    let mut seen = HashSet::new();
    let (mut changes, mut after) = (Vec::new(), None::<String>);
    let now = loop {
        let page = store.list_schedules(after.as_deref(), PAGE).await?;
        let now = millis_of(page.now);
        for row in &page.rows {
            seen.insert(row.name.clone());
            if is_start || code.contains_key(&row.name) {
                changes.extend(change(program, code, row, now));
            }
        }
        match page.rows.last() {
            Some(last) if page.rows.len() >= PAGE => after = Some(last.name.clone()),
            _ => break now,
        }
    };
    for (name, schedule) in code {
        if !seen.contains(name) {
            let origin = ScheduleOrigin::code(program);
            let mut row = ScheduleRow::new(name, origin, schedule.cron.as_str());
            describe(&mut row, schedule, now);
            changes.push(("added", ScheduleChange::add(row)));
        }
    }
    for some in changes.chunks(PAGE) {
        fault_point!("schedule.register", OutboxError::Unavailable);
        let only: Vec<_> = some.iter().map(|(_, change)| change.clone()).collect();
        let made = store.apply_schedules(&only).await?;
        for ((what, change), _) in some.iter().zip(made).filter(|(_, made)| *made) {
            let row = change.row();
            tracing::info!(
                schedule = row.name,
                change = what,
                cron = row.expression,
                zone = row.zone,
                "schedule registered"
            );
        }
    }
    Ok(())
}

/// Returns how a row has to change, and what that is called.
fn change(
    program: &str,
    code: &BTreeMap<String, CodeSchedule>,
    row: &ScheduleRow,
    now: i64,
) -> Option<(&'static str, ScheduleChange)> {
    let is_own = row.origin.program() == Some(program);
    let Some(schedule) = code.get(&row.name) else {
        let is_gone = is_own && row.state == ScheduleState::Active;
        return is_gone.then(|| {
            let mut gone = row.clone();
            gone.state = ScheduleState::Gone;
            // Its next occurrence is kept, for a deploy that is rolled back.
            set_due(&mut gone, 0);
            ("gone", ScheduleChange::replace(gone))
        });
    };
    if !is_own {
        tracing::error!(
            schedule = row.name,
            "a schedule of the code is not fired, because another program has one of its name, or one was added at run time; \
             rename one of them"
        );
        return None;
    }
    let is_same_time = row.expression == schedule.cron.as_str() && row.zone == schedule.settings.zone;
    let is_same = is_same_time && row.settings == schedule.settings.to_text();
    let is_back = row.state == ScheduleState::Gone;
    // The rules of a time zone may have changed since.
    let next = row.next_at.map(millis_of);
    let is_wrong = next.is_some_and(|next| next > now && schedule.calendar.next(next - 1) != Some(next));
    if is_same && !is_back && !is_wrong {
        return None;
    }
    let mut changed = row.clone();
    if is_back {
        changed.state = ScheduleState::Active;
    }
    if is_same_time && !is_wrong {
        let next = changed.next_at;
        describe(&mut changed, schedule, now);
        // Whatever is due by its old time is due still.
        if changed.state == ScheduleState::Active {
            changed.next_at = next.or(changed.next_at);
        }
        set_due(&mut changed, schedule.settings.delay_of(&row.name));
    } else {
        describe(&mut changed, schedule, now);
    }
    let what = if is_back { "back" } else { "changed" };
    Some((what, ScheduleChange::replace(changed)))
}

/// Writes what the code says of a schedule, and its next occurrence.
fn describe(row: &mut ScheduleRow, schedule: &CodeSchedule, now: i64) {
    schedule.cron.as_str().clone_into(&mut row.expression);
    row.zone.clone_from(&schedule.settings.zone);
    row.settings = schedule.settings.to_text();
    row.next_at = None;
    if row.state == ScheduleState::Active {
        // Not before an occurrence that was fired, whatever the clock says.
        let last = row.last_at.map_or(now, millis_of);
        row.next_at = schedule.calendar.next(now.max(last)).map(system_time);
    }
    let delay = schedule.settings.delay_of(&row.name);
    set_due(row, delay);
}
