//! [`ProcessorSchedules`]: schedules at run time, in one place for programs, consoles and command lines.

use std::any::TypeId;
use std::fmt;
use std::future::IntoFuture;
use std::time::{Duration, SystemTime};

use brighter_core::id::MessageId;
use brighter_core::mapper::Postable;
use brighter_core::outbox::{
    FoundSchedules, ScheduleChange, ScheduleOrigin, ScheduleRow, ScheduleState, Schedules,
};
use brighter_cron::{Calendar, Cron};
use futures_util::future::BoxFuture;

use super::error::{RecurringError, ScheduleError};
use super::make::message;
use super::occurrence::{millis_of, system_time};
use super::plan::set_due;
use super::settings::{Missed, Overlap, ScheduleSettings, setting_methods};
use crate::processor::CommandProcessor;
use crate::publication::PublicationSettings;

/// How many occurrences are shown ahead.
const SHOWN: usize = 5;

/// How often a change is tried that others forestall, and the pause between.
const ATTEMPTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(25);

/// The schedules of a processor's outbox, at run time: see [`CommandProcessor::schedules`].
#[derive(Debug, Clone, Copy)]
pub struct ProcessorSchedules<'a> {
    processor: &'a CommandProcessor,
}

/// A schedule, as a person is shown it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ScheduleInfo {
    /// The name.
    pub name: String,
    /// The cron expression.
    pub cron: String,
    /// The meaning of the expression, in English.
    pub words: String,
    /// The name of the time zone.
    pub zone: String,
    /// Whether the code of a program has it, or it was added at run time.
    pub origin: ScheduleOrigin,
    /// Whether it fires.
    pub state: ScheduleState,
    /// The treatment of missed occurrences.
    pub missed: Missed,
    /// The treatment of an occurrence while the last one is still being handled.
    pub overlap: Overlap,
    /// The delay of each occurrence, which follows from the name and the jitter.
    pub delay: Duration,
    /// The next five occurrences; none while it is paused.
    pub next: Vec<Upcoming>,
    /// The last occurrence that was fired.
    pub last: Option<SystemTime>,
    /// The id of its message.
    pub last_id: Option<MessageId>,
}

/// An occurrence to come.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Upcoming {
    /// The time.
    pub at: SystemTime,
    /// The time in the zone of the schedule, as RFC 3339 with the offset.
    pub local: String,
    /// Whether a clock change moves it, because its local time is left out on that day.
    pub is_moved: bool,
}

impl CommandProcessor {
    /// Returns the schedules of recurring work: to list, pause, resume and run them, and to add schedules at run time.
    ///
    /// ```
    /// # use brighter::prelude::*;
    /// # use brighter::schedule::Cron;
    /// # #[derive(Serialize, Deserialize, Message)]
    /// # #[message(topic = "Report.Tenant")]
    /// # struct TenantReport { tenant: String }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BoxError> {
    /// let processor = CommandProcessor::builder()
    ///     .broker(InMemoryBroker::new())
    ///     .outbox(InMemoryOutbox::new())
    ///     .runtime_schedules()
    ///     .build()?;
    /// let schedules = processor.schedules();
    /// let report = TenantReport { tenant: "north".into() };
    /// schedules.add("report-north", Cron::parse("0 6 * * MON")?, report).time_zone("Europe/Paris").await?;
    ///
    /// let north = schedules.get("report-north").await?;
    /// println!("{} in {}: next at {}", north.words, north.zone, north.next[0].local);
    /// schedules.pause("report-north").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn schedules(&self) -> ProcessorSchedules<'_> {
        ProcessorSchedules { processor: self }
    }
}

impl<'a> ProcessorSchedules<'a> {
    /// Returns up to `limit` schedules in the order of their names, which begin after this name.
    ///
    /// # Errors
    /// The outbox cannot be read, or keeps no schedules.
    pub async fn list(&self, after: Option<&str>, limit: usize) -> Result<Vec<ScheduleInfo>, ScheduleError> {
        let found = self.store()?.list_schedules(after, limit).await?;
        let now = millis_of(found.now);
        found.rows.iter().map(|row| info(row, now)).collect()
    }

    /// Returns one schedule.
    ///
    /// # Errors
    /// There is none of this name, or the outbox cannot be read.
    pub async fn get(&self, name: &str) -> Result<ScheduleInfo, ScheduleError> {
        let (row, now) = self.row(name).await?;
        info(&row, now)
    }

    /// Adds a schedule whose occurrences all carry this request; the occurrence is in the headers of each message. It is
    /// fired by every process that has `recurring` or `runtime_schedules` on its builder. Options come before `.await`,
    /// which returns `false` if there is a schedule of this name: then it is left as it is.
    ///
    /// # Errors
    /// The schedule cannot be used, the request cannot be posted, or the outbox cannot be written.
    pub fn add<R: Postable>(&self, name: impl Into<String>, cron: Cron, request: R) -> AddSchedule<'a, R> {
        AddSchedule {
            schedules: *self,
            name: name.into(),
            cron,
            request,
            settings: ScheduleSettings::default(),
        }
    }

    /// Removes a schedule that was added at run time, or that is gone from the code. Messages of past occurrences stay.
    ///
    /// # Errors
    /// There is none of this name, the code of a program has it, or the outbox cannot be written.
    pub async fn remove(&self, name: &str) -> Result<(), ScheduleError> {
        self.change(name, |row, _| {
            if row.origin.program().is_some() && row.state != ScheduleState::Gone {
                return Err(ScheduleError::InCode { name: row.name });
            }
            Ok(ScheduleChange::remove(row))
        })
        .await
    }

    /// Pauses a schedule, also over restarts and deploys. Occurrences that pass meanwhile are not made up for.
    ///
    /// # Errors
    /// There is none of this name, or the outbox cannot be written.
    pub async fn pause(&self, name: &str) -> Result<(), ScheduleError> {
        self.change(name, |mut row, _| {
            row.state = ScheduleState::Paused;
            row.next_at = None;
            set_due(&mut row, 0);
            Ok(ScheduleChange::advance(row, Vec::new()))
        })
        .await
    }

    /// Resumes a paused schedule with its next occurrence from now. Does nothing to one that is active.
    ///
    /// # Errors
    /// There is none of this name, no program has it in its code any more, or the outbox cannot be written.
    pub async fn resume(&self, name: &str) -> Result<(), ScheduleError> {
        self.change(name, |mut row, now| {
            match row.state {
                ScheduleState::Gone => return Err(ScheduleError::Gone { name: row.name }),
                ScheduleState::Paused => {
                    let (settings, calendar) = read(&row)?;
                    row.state = ScheduleState::Active;
                    row.next_at = calendar.next(now).map(system_time);
                    let delay = settings.delay_of(&row.name);
                    set_due(&mut row, delay);
                }
                _ => {}
            }
            Ok(ScheduleChange::advance(row, Vec::new()))
        })
        .await
    }

    /// Leaves out the next occurrence.
    ///
    /// # Errors
    /// There is none of this name, it is paused, or the outbox cannot be written.
    pub async fn skip_next(&self, name: &str) -> Result<(), ScheduleError> {
        self.change(name, |mut row, _| {
            let (settings, calendar) = read(&row)?;
            let next = row.next_at.filter(|_| row.state == ScheduleState::Active);
            let Some(next) = next else {
                return Err(ScheduleError::Paused { name: row.name });
            };
            row.next_at = calendar.next(millis_of(next)).map(system_time);
            let delay = settings.delay_of(&row.name);
            set_due(&mut row, delay);
            Ok(ScheduleChange::advance(row, Vec::new()))
        })
        .await
    }

    /// Runs a schedule once now, beside its occurrences and also while it is paused or the last one is not over. A
    /// sweeper that knows the schedule does it within its interval. Asking again before that changes nothing.
    ///
    /// # Errors
    /// There is none of this name, no program has it in its code any more, or the outbox cannot be written.
    pub async fn run_now(&self, name: &str) -> Result<(), ScheduleError> {
        self.change(name, |mut row, now| {
            if row.state == ScheduleState::Gone {
                return Err(ScheduleError::Gone { name: row.name });
            }
            let now = system_time(now);
            row.run_at.get_or_insert(now);
            row.due_at = Some(row.due_at.map_or(now, |due| due.min(now)));
            Ok(ScheduleChange::advance(row, Vec::new()))
        })
        .await
    }

    fn store(&self) -> Result<&'a dyn Schedules, ScheduleError> {
        let outbox = self
            .processor
            .outbox_for_schedules()
            .ok_or(ScheduleError::NoOutbox)?;
        outbox.schedules().ok_or(ScheduleError::Unsupported)
    }

    async fn row(&self, name: &str) -> Result<(ScheduleRow, i64), ScheduleError> {
        let FoundSchedules { rows, now, .. } = self.store()?.find_schedules(&[name.to_owned()]).await?;
        let unknown = || ScheduleError::Unknown {
            name: name.to_owned(),
        };
        let row = rows.into_iter().next().ok_or_else(unknown)?;
        Ok((row, millis_of(now)))
    }

    /// Changes a schedule as it is now, whatever others do at the same time.
    async fn change(
        &self,
        name: &str,
        make: impl Fn(ScheduleRow, i64) -> Result<ScheduleChange, ScheduleError>,
    ) -> Result<(), ScheduleError> {
        for _ in 0..ATTEMPTS {
            let (row, now) = self.row(name).await?;
            let change = make(row, now)?;
            if self.store()?.apply_schedules(&[change]).await?.contains(&true) {
                self.processor.schedules_changed();
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(ScheduleError::Contended {
            name: name.to_owned(),
        })
    }
}

/// A schedule that is added when this is awaited: see [`ProcessorSchedules::add`].
#[must_use = "nothing is added until this is awaited"]
pub struct AddSchedule<'a, R> {
    schedules: ProcessorSchedules<'a>,
    name: String,
    cron: Cron,
    request: R,
    settings: ScheduleSettings,
}

impl<R: Postable> AddSchedule<'_, R> {
    setting_methods!();

    async fn add(self) -> Result<bool, ScheduleError> {
        let Self {
            schedules,
            name,
            cron,
            request,
            settings,
        } = self;
        let calendar = match settings.check(&name, &cron) {
            (wrong, Some(calendar)) if wrong.is_empty() => calendar,
            (wrong, _) => {
                // Without a calendar there is an error that says why.
                let zone = settings.zone.clone();
                let source = wrong.into_iter().next().unwrap_or(RecurringError::Zone { zone });
                return Err(ScheduleError::Invalid { name, source });
            }
        };
        if request.id().is_some() {
            return Err(ScheduleError::OwnId { name });
        }
        let publication = schedules.processor.publication_for_schedules(TypeId::of::<R>());
        let publication = publication.unwrap_or_else(PublicationSettings::of::<R>);
        let made = message(&publication, &request, &MessageId::new(), |_| {});
        let template = made.map_err(|source| {
            let name = name.clone();
            ScheduleError::Request { name, source }
        })?;
        let store = schedules.store()?;
        let now = millis_of(store.find_schedules(&[]).await?.now);
        let mut row = ScheduleRow::new(name, ScheduleOrigin::Runtime, cron.as_str());
        row.zone.clone_from(&settings.zone);
        row.settings = settings.to_text();
        row.template = Some(template);
        row.next_at = calendar.next(now).map(system_time);
        let delay = settings.delay_of(&row.name);
        set_due(&mut row, delay);
        let added = store.apply_schedules(&[ScheduleChange::add(row)]).await?;
        schedules.processor.schedules_changed();
        Ok(added.contains(&true))
    }
}

impl<'a, R: Postable> IntoFuture for AddSchedule<'a, R> {
    type Output = Result<bool, ScheduleError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.add())
    }
}

impl<R> fmt::Debug for AddSchedule<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddSchedule")
            .field("name", &self.name)
            .field("cron", &self.cron)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Returns the settings and the calendar of a row.
fn read(row: &ScheduleRow) -> Result<(ScheduleSettings, Calendar), ScheduleError> {
    let unreadable = |source| ScheduleError::Unreadable {
        name: row.name.clone(),
        source,
    };
    let settings = ScheduleSettings::read(&row.zone, &row.settings).map_err(unreadable)?;
    let cron = Cron::parse(row.expression.as_str()).map_err(|error| unreadable(error.into()))?;
    let calendar = Calendar::new(&cron, &row.zone).map_err(|error| unreadable(error.into()))?;
    Ok((settings, calendar))
}

/// Returns what a person is shown of a row.
fn info(row: &ScheduleRow, now: i64) -> Result<ScheduleInfo, ScheduleError> {
    let (settings, calendar) = read(row)?;
    let mut next = Vec::new();
    let mut at = row
        .next_at
        .filter(|_| row.state == ScheduleState::Active)
        .map(millis_of);
    // One that is due is not fired yet.
    while let Some(time) = at.filter(|_| next.len() < SHOWN) {
        next.push(Upcoming {
            at: system_time(time),
            local: calendar.local(time).unwrap_or_default(),
            is_moved: calendar.is_moved(time),
        });
        at = calendar.next(time.max(now));
    }
    let words = Cron::parse(row.expression.as_str()).map(|cron| cron.words());
    Ok(ScheduleInfo {
        name: row.name.clone(),
        cron: row.expression.clone(),
        words: words.unwrap_or_default(),
        zone: row.zone.clone(),
        origin: row.origin.clone(),
        state: row.state,
        missed: settings.missed,
        overlap: settings.overlap,
        delay: Duration::from_millis(settings.delay_of(&row.name).unsigned_abs()),
        next,
        last: row.last_at,
        last_id: row.last_id.clone(),
    })
}
