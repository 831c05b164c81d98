//! What a schedule fires as time passes, with the clock paused.

use std::collections::BTreeMap;

use brighter::schedule::{Cron, Missed, Overlap, Recurring, cron};
use brighter::testing::{CrashTestReport, TestApp, crash_test};
use brighter::{InMemoryInbox, Sweeper};

use super::*;

/// An application with one schedule, at this time.
async fn app_at(text: &str, reporter: &Reporter, recurring: Recurring<Report>) -> TestApp {
    let (outbox, reporter) = (outbox_at(text), reporter.clone());
    TestApp::builder()
        .processor(move |processor| {
            processor
                .outbox(outbox)
                .inbox(InMemoryInbox::new())
                .handler(reporter)
                .recurring(recurring)
                .sweeper(Sweeper::default().interval(HOUR))
        })
        .dispatcher(|dispatcher| {
            dispatcher.subscription(Subscription::<Report>::new("reports").concurrency(10))
        })
        .start()
        .await
}

#[tokio::test(start_paused = true)]
async fn an_occurrence_is_handled_at_its_time_as_data() {
    let reporter = Reporter::default();
    let schedule = Recurring::new("nightly", cron!("30 2 * * *")).time_zone("Europe/Berlin");
    let app = app_at("2026-06-01T00:29:00Z", &reporter, schedule).await;
    app.when_time_passes(59 * SECOND).await;
    assert!(reporter.times().is_empty());
    app.when_time_passes(SECOND).await;
    assert_eq!(reporter.times(), ["2026-06-01 02:30"]);
    app.when_time_passes(DAY).await;
    let [_, second] = reporter.noted().try_into().unwrap();
    assert_eq!(second.schedule, "nightly");
    assert_eq!(second.scheduled_for, time("2026-06-02T00:30:00Z"));
    assert_eq!(second.local, "2026-06-02T02:30:00+02:00");
    assert_eq!(
        (second.date(), second.zone.as_str()),
        ("2026-06-02", "Europe/Berlin")
    );
    assert_eq!(second.previous, Some(time("2026-06-01T00:30:00Z")));
    assert_eq!(second.next, Some(time("2026-06-03T00:30:00Z")));
    assert!(!second.is_missed && !second.is_on_request);
}

#[tokio::test(start_paused = true)]
async fn a_clock_change_fires_each_local_time_once() {
    let reporter = Reporter::default();
    let schedule = Recurring::new("nightly", cron!("30 2 * * *")).time_zone("Europe/Berlin");
    let app = app_at("2026-10-24T12:00:00Z", &reporter, schedule).await;
    app.when_time_passes(2 * DAY).await;
    assert_eq!(reporter.times(), ["2026-10-25 02:30", "2026-10-26 02:30"]);
    assert_eq!(reporter.noted()[0].scheduled_for, time("2026-10-25T00:30:00Z"));

    let reporter = Reporter::default();
    let schedule = Recurring::new("nightly", cron!("30 2 * * *")).time_zone("Europe/Berlin");
    let app = app_at("2026-03-28T12:00:00Z", &reporter, schedule).await;
    app.when_time_passes(2 * DAY).await;
    assert_eq!(reporter.times(), ["2026-03-29 03:00", "2026-03-30 02:30"]);
}

/// Every five minutes for so many days.
async fn every_five_minutes(days: u32) {
    let outbox = outbox_at("2026-01-01T00:00:00Z");
    let broker = InMemoryBroker::new();
    let processor = CommandProcessor::builder()
        .outbox(outbox.clone())
        .broker(broker)
        .recurring(Recurring::<Report>::new("often", cron!("*/5 * * * *")))
        .sweeper(Sweeper::default().interval(HOUR).min_age(400 * DAY))
        .without_archiver()
        .build()
        .unwrap();
    let began = std::time::Instant::now();
    tokio::time::sleep(days * DAY + SECOND).await;
    println!("{days} days of */5: {:?}", began.elapsed());
    processor.close().await;
    // The sweeper leaves them alone, so that they can be counted.
    assert_eq!(
        outbox.status().await.unwrap().outstanding,
        u64::from(days) * 24 * 12
    );
}

#[tokio::test(start_paused = true)]
async fn a_month_of_every_five_minutes_is_posted() {
    every_five_minutes(30).await;
}

#[tokio::test(start_paused = true)]
#[cfg_attr(
    debug_assertions,
    ignore = "half a minute without optimization: run it by `--release`"
)]
async fn a_year_of_every_five_minutes_is_posted() {
    every_five_minutes(365).await;
}

#[tokio::test(start_paused = true)]
async fn overlapping_occurrences_are_skipped_or_queued() {
    let run = async |overlap| {
        let reporter = Reporter {
            takes: 150 * SECOND,
            ..Reporter::default()
        };
        let schedule = Recurring::new("slow", cron!("* * * * *")).overlap(overlap);
        let app = app_at("2026-06-01T11:59:00Z", &reporter, schedule).await;
        app.when_time_passes(390 * SECOND).await;
        let times = reporter.times();
        times.iter().map(|time| time[11..].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        run(Overlap::Allow).await,
        ["12:00", "12:01", "12:02", "12:03", "12:04", "12:05"]
    );
    assert_eq!(run(Overlap::Skip).await, ["12:00", "12:03"]);
    // The newest that came meanwhile follows at once.
    assert_eq!(run(Overlap::Queue).await, ["12:00", "12:02", "12:05"]);
}

#[tokio::test(start_paused = true)]
async fn missed_occurrences_are_made_up_for_by_their_policy() {
    let run = async |missed| {
        let outbox = outbox_at("2026-06-01T12:05:00Z");
        let schedule = || Recurring::new("often", cron!("*/10 * * * *")).missed(missed);
        let processor = processor_of(outbox.clone(), [schedule()]);
        tokio::time::sleep(SECOND).await;
        drop(processor);
        tokio::time::sleep(HOUR).await;
        let processor = processor_of(outbox.clone(), [schedule()]);
        tokio::time::sleep(SECOND).await;
        drop(processor);
        let fired = deposited(&outbox).await;
        let fired: Vec<_> = fired.iter().map(occurrence_of).collect();
        assert!(fired.iter().all(|one| one.is_missed));
        fired
            .iter()
            .map(|one| one.local[11..16].to_owned())
            .collect::<Vec<_>>()
    };
    assert!(run(Missed::None).await.is_empty());
    assert_eq!(run(Missed::Last { within: HOUR }).await, ["13:00"]);
    let (within, at_most) = (HOUR, 100);
    let all = run(Missed::All { within, at_most }).await;
    assert_eq!(all, ["12:10", "12:20", "12:30", "12:40", "12:50", "13:00"]);
}

#[tokio::test(start_paused = true)]
async fn several_processes_fire_each_occurrence_once() {
    let outbox = outbox_at("2026-06-01T12:00:30Z");
    let schedules = || {
        [
            Recurring::new("a", cron!("* * * * *")),
            Recurring::new("b", cron!("*/2 * * * *")),
        ]
    };
    let processors: Vec<_> = (0..3)
        .map(|_| processor_of(outbox.clone(), schedules()))
        .collect();
    tokio::time::sleep(10 * MINUTE).await;
    drop(processors);
    let mut fired: Vec<_> = deposited(&outbox)
        .await
        .iter()
        .map(|message| {
            let one = occurrence_of(message);
            (one.schedule, one.scheduled_for)
        })
        .collect();
    assert_eq!(fired.len(), 10 + 5);
    fired.sort();
    fired.dedup();
    assert_eq!(fired.len(), 15);
}

#[tokio::test(start_paused = true)]
async fn the_clock_of_the_outbox_decides_over_the_process() {
    for skew in [DAY, Duration::ZERO] {
        // The clock of this machine is years away from either.
        let outbox = InMemoryOutbox::new().clock_at(time("2020-06-01T12:00:30Z") + skew);
        let processor = processor_of(outbox.clone(), [Recurring::new("a", cron!("* * * * *"))]);
        tokio::time::sleep(3 * MINUTE).await;
        drop(processor);
        let fired = deposited(&outbox).await;
        let times: Vec<_> = fired.iter().map(|one| occurrence_of(one).scheduled_for).collect();
        let first = time("2020-06-01T12:01:00Z") + skew;
        assert_eq!(times, [first, first + MINUTE, first + 2 * MINUTE]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_fires_nothing_twice() {
    let outbox = outbox_at("2026-06-01T12:00:30Z");
    let within = 2 * DAY;
    let schedule =
        || Recurring::new("hourly", cron!("0 * * * *")).missed(Missed::All { within, at_most: 100 });
    let processor = processor_of(outbox.clone(), [schedule()]);
    let jump = async |to: &str| {
        let _ = outbox.clone().clock_at(time(to));
        tokio::time::sleep(2 * HOUR).await;
    };
    tokio::time::sleep(2 * HOUR).await; // 13:00, 14:00
    jump("2026-05-31T14:00:30Z").await; // A day back: nothing is due.
    jump("2026-06-02T14:00:30Z").await; // A day ahead: all since then, and two more.
    drop(processor);
    let mut times: Vec<_> = deposited(&outbox)
        .await
        .iter()
        .map(|one| occurrence_of(one).scheduled_for)
        .collect();
    let first = time("2026-06-01T13:00:00Z");
    times.sort();
    let expected: Vec<_> = (0..28).map(|hour| first + hour * HOUR).collect();
    assert_eq!(times, expected);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_made_delays_no_other() {
    let outbox = outbox_at("2026-06-01T12:00:30Z");
    let is_mended = Arc::new(Mutex::new(false));
    let mended = Arc::clone(&is_mended);
    let breaks = Recurring::from_fn("breaks", cron!("5 * * * *"), move |of| {
        assert!(*mended.lock().unwrap(), "not yet");
        Report { of }
    });
    let processor = processor_of(
        outbox.clone(),
        [breaks, Recurring::new("works", cron!("* * * * *"))],
    );
    tokio::time::sleep(10 * MINUTE).await;
    *is_mended.lock().unwrap() = true;
    tokio::time::sleep(2 * MINUTE).await;
    drop(processor);
    let fired: Vec<_> = deposited(&outbox).await.iter().map(occurrence_of).collect();
    assert_eq!(fired.iter().filter(|one| one.schedule == "works").count(), 12);
    let [broken] = fired
        .iter()
        .filter(|one| one.schedule == "breaks")
        .collect::<Vec<_>>()[..]
    else {
        panic!("{fired:?}");
    };
    assert_eq!(broken.scheduled_for, time("2026-06-01T12:05:00Z"));
    assert!(broken.is_missed);
}

#[tokio::test]
async fn an_expression_added_later_is_checked_like_a_constant() {
    for (text, part) in [
        ("* * * *", "has 4 fields"),
        ("* * * * * *", "at most once a minute"),
        ("*/10 * * * * *", "at most once a minute"),
        ("60 * * * *", "`60` as its minute; it takes 0 to 59"),
        ("0 25 * * *", "`25` as its hour"),
        ("0 0 32 * *", "`32` as its day of month"),
        ("0 0 * 13 *", "`13` as its month"),
        ("0 0 * * MOO", "`MOO` as its day of week"),
        ("0 0 31 2 *", "never comes"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 31 4,6,9,11 *", "never comes"),
        ("@fortnightly", "one of @hourly, @daily"),
        ("", "has 0 fields"),
        ("0 0 *", "has 3 fields"),
        ("x 0 * * *", "`x` as its minute"),
        ("10-5 0 * * *", "`10-5` as its minute"),
        ("*/0 0 * * *", "`*/0` as its minute"),
    ] {
        let error = Cron::parse(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    // Rare is not never.
    Cron::parse("0 0 29 2 +MON").unwrap();
}

/// Keeps its claim for a minute, and not for hours: what a dead process has claimed is waited for.
#[derive(Clone, Default)]
struct QuickReporter(Reporter);

#[handler]
impl Handler<Report> for QuickReporter {
    #[use_inbox(lease = "1m", step = 1)]
    async fn handle(&self, report: &Report) -> Result<(), BoxError> {
        self.0.noted.lock().unwrap().push(report.of.clone());
        Ok(())
    }
}

#[test]
fn no_death_loses_or_doubles_an_occurrence_in_memory() {
    let CrashTestReport { points, runs, .. } = crash_test(|scenario| {
        let outbox = outbox_at("2026-06-01T12:00:30Z");
        let reporter = QuickReporter::default();
        let (inbox, noted, kept) = (InMemoryInbox::new(), reporter.0.clone(), outbox.clone());
        scenario
            .app(move |app| {
                let (outbox, inbox, reporter) = (outbox.clone(), inbox.clone(), reporter.clone());
                async move {
                    app.processor(move |processor| {
                        let daily = Recurring::<Report>::new("a", cron!("1 12 * * *"));
                        processor
                            .outbox(outbox)
                            .inbox(inbox)
                            .handler(reporter)
                            // A look each second is what most of a run's time would go to.
                            .sweeper(Sweeper::default().interval(10 * SECOND))
                            .recurring(daily.missed(Missed::Last { within: DAY }))
                    })
                    .dispatcher(|dispatcher| dispatcher.subscription(Subscription::<Report>::new("reports")))
                }
            })
            .when(|life| async move {
                // Nobody has to post it.
                life.promise("2026-06-01T12:01:00+00:00");
                tokio::time::sleep(MINUTE).await;
                life.app().settled().await;
            })
            .effects(move || {
                // A message may be handled again, and is the same then.
                let noted = noted.noted().into_iter();
                let noted: BTreeMap<_, _> = noted.map(|one| (one.id, one.local)).collect();
                let kept = kept.clone();
                async move {
                    let dead = kept.status().await.unwrap().dead;
                    let dead = (dead > 0).then(|| "a dead one".to_owned());
                    noted.into_values().chain(dead).collect()
                }
            })
            .exactly_once()
    });
    println!("{points} points, {runs} runs");
    assert!(points > 10 && runs > 50, "{points} points, {runs} runs");
}
