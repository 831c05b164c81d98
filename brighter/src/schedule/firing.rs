//! The [`Scheduler`]: fires due schedules when the sweeper looks at the clock.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use brighter_core::__private::{fault_point, panic_text, report};
use brighter_core::error::BoxError;
use brighter_core::inbox::Inbox;
use brighter_core::message::Message;
use brighter_core::outbox::{Outbox, OutboxError, ScheduleChange, ScheduleRow, Schedules};
use brighter_cron::{Calendar, Cron};
use tokio::time::Instant;

use super::make::{CodeSchedule, copied};
use super::occurrence::{Occurrence, millis_of, system_time};
use super::plan::Readable;
use super::registering::{Registering, register};
use super::settings::ScheduleSettings;

/// How many due schedules are fired in one transaction.
const AT_ONCE: usize = 500;

/// How many messages are deposited in one transaction, unless one schedule alone makes more.
const MESSAGES_AT_ONCE: usize = 2_000;

/// How many transactions one sweep makes before it sends what they deposited.
const ROUNDS: usize = 100;

/// How many calendars of schedules from elsewhere are kept.
const CALENDARS: usize = 10_000;

/// How long a schedule waits that may not overlap, while the inbox does not answer.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long a schedule waits whose message cannot be made.
const AFTER_A_FAILURE: Duration = Duration::from_secs(60);

/// Fires the schedules of a program, and those that were added at run time.
pub(crate) struct Scheduler {
    program: String,
    code: BTreeMap<String, CodeSchedule>,
    inbox: Option<Arc<dyn Inbox>>,
    registering: Registering,
    /// The calendars of rows that are not as the code has them, by expression and zone.
    calendars: Mutex<HashMap<(String, String), Arc<Calendar>>>,
    /// Set when this process has changed a schedule, which may be due now.
    changed: AtomicBool,
}

/// The result of a look at the schedules.
pub(crate) struct Fired {
    /// Whether any message was deposited.
    pub(crate) any: bool,
    /// How long it is until the next schedule is due, if that is known.
    pub(crate) next: Option<Duration>,
}

impl Scheduler {
    pub(super) fn new(
        program: String,
        code: BTreeMap<String, CodeSchedule>,
        inbox: Option<Arc<dyn Inbox>>,
    ) -> Self {
        Self {
            program,
            code,
            inbox,
            registering: Registering::default(),
            calendars: Mutex::default(),
            changed: AtomicBool::new(false),
        }
    }

    /// Notes that a schedule was changed, so that the next sweep looks at the clock.
    pub(crate) fn note_change(&self) {
        self.changed.store(true, Ordering::Release);
    }

    /// Returns whether a schedule was changed since the last look.
    pub(crate) fn was_changed(&self) -> bool {
        self.changed.load(Ordering::Acquire)
    }

    /// Fires every schedule that is due.
    pub(crate) async fn fire(&self, outbox: &dyn Outbox) -> Result<Fired, OutboxError> {
        self.changed.store(false, Ordering::Release);
        let nothing = Fired {
            any: false,
            next: None,
        };
        let Some(store) = outbox.schedules() else {
            return Ok(nothing);
        };
        if self.registering.is_due(Instant::now()) {
            let is_start = self.registering.is_start();
            register(&self.program, &self.code, store, is_start).await?;
            self.registering.done(Instant::now());
        }
        let mut any = false;
        for _ in 0..ROUNDS {
            fault_point!("schedule.look", OutboxError::Unavailable);
            let due = store.due_schedules(&self.program, AT_ONCE).await?;
            let Some(now) = due.now else { break };
            if due.rows.is_empty() {
                let next = due.next.and_then(|next| next.duration_since(now).ok());
                return Ok(Fired { any, next });
            }
            let changes = self.changes(&due.rows, now).await;
            // What is left over is that of other versions of the program.
            if changes.is_empty() {
                break;
            }
            any |= changes.iter().any(|change| !change.messages().is_empty());
            fault_point!("schedule.fire", OutboxError::Unavailable);
            self.apply(store, &changes).await?;
            fault_point!("schedule.fired");
        }
        Ok(Fired { any, next: None })
    }

    async fn apply(&self, store: &dyn Schedules, changes: &[ScheduleChange]) -> Result<(), OutboxError> {
        let made = store.apply_schedules(changes).await?;
        for (change, made) in changes.iter().zip(made) {
            let row = change.row();
            if made && !change.messages().is_empty() {
                tracing::debug!(
                    schedule = row.name,
                    messages = change.messages().len(),
                    "schedule fired"
                );
            }
        }
        Ok(())
    }

    /// Returns what the due schedules do, as far as one transaction takes it.
    async fn changes(&self, rows: &[ScheduleRow], now: SystemTime) -> Vec<ScheduleChange> {
        let now = millis_of(now);
        let mut readable = Vec::with_capacity(rows.len());
        let mut changes = Vec::new();
        for row in rows {
            if row.template.is_none() && !self.code.contains_key(&row.name) {
                continue;
            }
            match self.read(row) {
                Ok((settings, calendar)) => readable.push((row, settings, calendar)),
                Err(error) => changes.push(put_off(row, now, error)),
            }
        }
        let running = self.running(&readable, now).await;
        let mut messages = 0;
        for (row, settings, calendar) in &readable {
            if messages >= MESSAGES_AT_ONCE {
                break;
            }
            let readable = Readable {
                row,
                settings,
                calendar,
            };
            let is_running = match &running {
                Ok(running) => running.contains(row.name.as_str()),
                // Without an answer nothing that may overlap is fired, and others have their turn.
                Err(()) if readable.waits_for(now) => {
                    changes.push(later(row, now, LOOK_AGAIN));
                    continue;
                }
                Err(()) => false,
            };
            let plan = readable.plan(now, is_running);
            let made: Result<Vec<_>, _> = plan
                .occurrences
                .iter()
                .map(|occurrence| self.message(row, occurrence))
                .collect();
            changes.push(match made {
                Ok(made) => {
                    messages += made.len();
                    ScheduleChange::advance(plan.row, made)
                }
                Err(error) => put_off(row, now, error),
            });
        }
        changes
    }

    /// Returns the names of those whose last occurrence is not over.
    async fn running<'a>(
        &self,
        rows: &[(&'a ScheduleRow, ScheduleSettings, Arc<Calendar>)],
        now: i64,
    ) -> Result<HashSet<&'a str>, ()> {
        let waiting = rows.iter().filter(|(row, settings, calendar)| {
            Readable {
                row,
                settings,
                calendar,
            }
            .waits_for(now)
                && row.last_id.is_some()
        });
        let last: Vec<_> = waiting
            .filter_map(|(row, ..)| Some((row.name.as_str(), row.last_id.clone()?)))
            .collect();
        if last.is_empty() {
            return Ok(HashSet::new());
        }
        // `build()` has seen to the code's own; one from elsewhere may ask for an inbox that is not here.
        let Some(history) = self.inbox.as_deref().and_then(Inbox::history) else {
            return Ok(last.into_iter().map(|(name, _)| name).collect());
        };
        let ids: Vec<_> = last.iter().map(|(_, id)| id.clone()).collect();
        match history.handled(&ids).await {
            Ok(over) => {
                let over: HashSet<_> = over.into_iter().collect();
                let running = last.into_iter().filter(|(_, id)| !over.contains(id));
                Ok(running.map(|(name, _)| name).collect())
            }
            Err(error) => {
                let error = report(&error);
                tracing::warn!(
                    error,
                    "cannot tell from the inbox which occurrences are over; schedules that must not overlap wait"
                );
                Err(())
            }
        }
    }

    /// Returns the settings and the calendar of a row, which another version of the program may have written.
    fn read(&self, row: &ScheduleRow) -> Result<(ScheduleSettings, Arc<Calendar>), BoxError> {
        let settings = ScheduleSettings::read(&row.zone, &row.settings)?;
        let key = (row.expression.clone(), row.zone.clone());
        let mut calendars = self.calendars.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(calendar) = calendars.get(&key) {
            return Ok((settings, Arc::clone(calendar)));
        }
        let known = self.code.get(&row.name);
        let known = known.filter(|known| known.cron.as_str() == key.0 && known.settings.zone == key.1);
        let calendar = match known {
            Some(known) => known.calendar.clone(),
            None => Calendar::new(&Cron::parse(key.0.as_str())?, &key.1)?,
        };
        let calendar = Arc::new(calendar);
        if calendars.len() >= CALENDARS {
            calendars.clear();
        }
        calendars.insert(key, Arc::clone(&calendar));
        Ok((settings, calendar))
    }

    fn message(&self, row: &ScheduleRow, occurrence: &Occurrence) -> Result<Message, BoxError> {
        if let Some(template) = &row.template {
            return Ok(copied(template, occurrence));
        }
        let Some(code) = self.code.get(&row.name) else {
            return Err("the program does not have it".into());
        };
        // The function is the application's own.
        catch_unwind(AssertUnwindSafe(|| (code.make)(occurrence))).unwrap_or_else(|panic| {
            Err(format!("making its request panicked: {}", panic_text(&*panic)).into())
        })
    }
}

/// Returns a change that has a schedule wait which cannot be fired. Its occurrence is not lost meanwhile.
fn put_off(row: &ScheduleRow, now: i64, error: BoxError) -> ScheduleChange {
    let error = report(&*error);
    tracing::error!(
        schedule = row.name,
        error,
        retry_after = ?AFTER_A_FAILURE,
        "a schedule cannot be fired"
    );
    later(row, now, AFTER_A_FAILURE)
}

/// Returns a change that has a schedule wait for a while.
fn later(row: &ScheduleRow, now: i64, delay: Duration) -> ScheduleChange {
    let mut row = row.clone();
    row.due_at = Some(system_time(now) + delay);
    ScheduleChange::advance(row, Vec::new())
}
