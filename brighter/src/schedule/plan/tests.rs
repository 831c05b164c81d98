use brighter_core::id::MessageId;
use brighter_core::outbox::ScheduleOrigin;
use brighter_cron::Cron;
use std::time::Duration;

use super::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// A full hour.
const START: i64 = 1_704_067_200_000;

struct Schedule {
    row: ScheduleRow,
    settings: ScheduleSettings,
    calendar: Calendar,
}

impl Schedule {
    /// A schedule whose next occurrence is at the start.
    fn new(cron: &str, change: impl FnOnce(&mut ScheduleSettings)) -> Self {
        let cron = Cron::parse(cron).unwrap();
        let mut settings = ScheduleSettings::default();
        change(&mut settings);
        let mut row = ScheduleRow::new("tests", ScheduleOrigin::Runtime, cron.as_str());
        row.next_at = Some(system_time(START));
        set_due(&mut row, settings.delay_of("tests"));
        let calendar = Calendar::new(&cron, "UTC").unwrap();
        Self {
            row,
            settings,
            calendar,
        }
    }

    /// Returns what is fired now, in minutes since the start and whether each was missed, and the next occurrence.
    fn at(&mut self, now: i64, is_running: bool) -> (Vec<(i64, bool)>, Option<i64>) {
        let SchedulePlan { row, occurrences } = Readable {
            row: &self.row,
            settings: &self.settings,
            calendar: &self.calendar,
        }
        .plan(now, is_running);
        self.row = row;
        let minutes = |time| (millis_of(time) - START) / MINUTE;
        let fired = occurrences.iter();
        let fired = fired
            .map(|one| (minutes(one.scheduled_for), one.is_missed))
            .collect();
        (fired, self.row.next_at.map(minutes))
    }
}

#[test]
fn an_occurrence_in_time_is_fired_by_every_policy() {
    let within = Duration::from_secs(3600);
    for missed in [
        Missed::None,
        Missed::Last { within },
        Missed::All { within, at_most: 3 },
    ] {
        let mut schedule = Schedule::new("*/5 * * * *", |settings| settings.missed = missed);
        assert_eq!(schedule.at(START - 1, false), (vec![], Some(0)), "{missed:?}");
        assert_eq!(
            schedule.at(START + 59_000, false),
            (vec![(0, false)], Some(5)),
            "{missed:?}"
        );
    }
}

#[test]
fn missed_occurrences_go_by_their_policy() {
    let fired = |missed| {
        let mut schedule = Schedule::new("*/10 * * * *", |settings| settings.missed = missed);
        schedule.at(START + HOUR + 2 * MINUTE, false)
    };
    let within = |minutes: u64| Duration::from_secs(minutes * 60);
    assert_eq!(fired(Missed::None), (vec![], Some(70)));
    assert_eq!(
        fired(Missed::Last { within: within(5) }),
        (vec![(60, true)], Some(70))
    );
    assert_eq!(fired(Missed::Last { within: within(1) }), (vec![], Some(70)));
    let all = |minutes, at_most| {
        let within = within(minutes);
        Missed::All { within, at_most }
    };
    assert_eq!(
        fired(all(22, 100)),
        (vec![(40, true), (50, true), (60, true)], Some(70))
    );
    assert_eq!(fired(all(1000, 2)), (vec![(50, true), (60, true)], Some(70)));
}

#[test]
fn a_year_of_missed_minutes_costs_only_the_newest() {
    let within = Duration::from_secs(400 * 24 * 3600);
    let mut schedule = Schedule::new("* * * * *", |settings| settings.missed = Missed::Last { within });
    let now = START + 365 * 24 * HOUR + 30_000;
    assert_eq!(
        schedule.at(now, false),
        (vec![(365 * 24 * 60, false)], Some(365 * 24 * 60 + 1))
    );
}

#[test]
fn overlap_is_allowed_skipped_or_queued() {
    let with = |overlap| Schedule::new("*/10 * * * *", |settings| settings.overlap = overlap);
    assert_eq!(
        with(Overlap::Allow).at(START, false),
        (vec![(0, false)], Some(10))
    );
    assert_eq!(with(Overlap::Skip).at(START, true), (vec![], Some(10)));

    let mut queued = with(Overlap::Queue);
    assert_eq!(queued.at(START, true), (vec![], Some(0)));
    assert_eq!(queued.row.due_at, Some(system_time(START + 1000)));
    assert_eq!(queued.at(START + 25 * MINUTE, true), (vec![], Some(0)));
    // It waited, so it is not missed; of those that came meanwhile the newest is fired.
    assert_eq!(
        queued.at(START + 28 * MINUTE, false),
        (vec![(20, false)], Some(30))
    );
    assert_eq!(queued.row.due_at, Some(system_time(START + 30 * MINUTE)));
}

#[test]
fn an_occurrence_counts_as_over_after_the_timeout() {
    let mut schedule = Schedule::new("*/10 * * * *", |settings| {
        settings.overlap = Overlap::Skip;
        settings.overlap_timeout = Duration::from_secs(1800);
    });
    let waits = |schedule: &Schedule, now| {
        Readable {
            row: &schedule.row,
            settings: &schedule.settings,
            calendar: &schedule.calendar,
        }
        .waits_for(now)
    };
    assert!(!waits(&schedule, START));
    schedule.at(START, false);
    assert!(waits(&schedule, START + 30 * MINUTE - 1));
    assert!(!waits(&schedule, START + 30 * MINUTE));
}

#[test]
fn jitter_delays_each_occurrence_by_the_same() {
    let jitter = Duration::from_secs(240);
    let mut schedule = Schedule::new("*/5 * * * *", |settings| settings.jitter = jitter);
    let delay = schedule.settings.delay_of("tests");
    assert!(delay > 0 && delay < 240_000 && delay != schedule.settings.delay_of("others"));
    assert_eq!(schedule.row.due_at, Some(system_time(START + delay)));
    assert_eq!(schedule.at(START + delay - 1, false), (vec![], Some(0)));
    assert_eq!(schedule.at(START + delay, false), (vec![(0, false)], Some(5)));
    assert_eq!(schedule.row.due_at, Some(system_time(START + 5 * MINUTE + delay)));
}

#[test]
fn a_run_on_request_leaves_the_occurrences_as_they_are() {
    let mut schedule = Schedule::new("0 * * * *", |_| {});
    schedule.at(START, false);
    schedule.row.run_at = Some(system_time(START + 7 * MINUTE));
    schedule.row.state = ScheduleState::Paused;
    assert_eq!(
        schedule.at(START + 7 * MINUTE, false),
        (vec![(7, false)], Some(60))
    );
    assert_eq!((schedule.row.run_at, schedule.row.due_at), (None, None));
}

#[test]
fn the_id_follows_from_the_name_and_the_time() {
    let calendar = Schedule::new("0 * * * *", |_| {}).calendar;
    let id = |name, time, asked| Occurrence::at(name, time, &calendar, "UTC", asked).id;
    let ids = [
        id("a", START, false),
        id("b", START, false),
        id("a", START + 1, false),
        id("a", START, true),
    ];
    let different: std::collections::HashSet<MessageId> = ids.iter().cloned().collect();
    assert_eq!(different.len(), 4);
    assert_eq!(ids[0], id("a", START, false));
    // What other processes have stored must not change with a version.
    assert_eq!(ids[0].as_uuid().unwrap().get_version_num(), 5);
}
