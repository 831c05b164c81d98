//! Schedules that are added, changed and removed in the code.

use brighter::outbox::{ScheduleState, Schedules};
use brighter::schedule::{Recurring, cron};

use super::*;

async fn passes(
    outbox: &InMemoryOutbox,
    schedules: impl IntoIterator<Item = Recurring<Report>>,
    time: Duration,
) {
    let processor = processor_of(outbox.clone(), schedules);
    tokio::time::sleep(time).await;
    drop(processor);
}

async fn state(outbox: &InMemoryOutbox, name: &str) -> (ScheduleState, Option<SystemTime>) {
    let found = outbox.find_schedules(&[name.to_owned()]).await.unwrap();
    (found.rows[0].state, found.rows[0].next_at)
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_left_the_code_pauses_and_comes_back() {
    let outbox = outbox_at("2026-06-01T12:00:30Z");
    let a = || Recurring::new("a", cron!("0 * * * *"));
    let b = || Recurring::new("b", cron!("30 * * * *"));
    passes(&outbox, [a(), b()], SECOND).await;
    assert_eq!(state(&outbox, "b").await.0, ScheduleState::Active);
    passes(&outbox, [a()], HOUR).await;
    assert_eq!(state(&outbox, "b").await.0, ScheduleState::Gone);
    let fired = deposited(&outbox).await;
    assert_eq!(fired.len(), 1);
    assert_eq!(occurrence_of(&fired[0]).schedule, "a");
    passes(&outbox, [a(), b()], SECOND).await;
    // What it missed meanwhile goes by its policy: the last one is made up for.
    assert_eq!(
        state(&outbox, "b").await,
        (ScheduleState::Active, Some(time("2026-06-01T13:30:00Z")))
    );
    let fired = deposited(&outbox).await;
    assert_eq!(
        occurrence_of(&fired[0]).scheduled_for,
        time("2026-06-01T12:30:00Z")
    );
}

#[tokio::test(start_paused = true)]
async fn a_changed_expression_never_fires_an_instant_twice() {
    let outbox = outbox_at("2026-06-01T11:59:30Z");
    passes(&outbox, [Recurring::new("a", cron!("0 * * * *"))], MINUTE).await;
    assert_eq!(deposited(&outbox).await.len(), 1);
    passes(&outbox, [Recurring::new("a", cron!("*/30 * * * *"))], SECOND).await;
    assert_eq!(state(&outbox, "a").await.1, Some(time("2026-06-01T12:30:00Z")));
    passes(
        &outbox,
        [Recurring::new("a", cron!("0 * * * *")).time_zone("Asia/Kolkata")],
        HOUR,
    )
    .await;
    let fired: Vec<_> = deposited(&outbox).await.iter().map(occurrence_of).collect();
    assert_eq!(fired.len(), 1);
    assert_eq!(fired[0].local, "2026-06-01T18:00:00+05:30");
}

#[tokio::test(start_paused = true)]
async fn another_setting_keeps_the_next_occurrence() {
    let outbox = outbox_at("2026-06-01T11:00:30Z");
    passes(&outbox, [Recurring::new("a", cron!("0 * * * *"))], SECOND).await;
    tokio::time::sleep(HOUR).await;
    passes(
        &outbox,
        [Recurring::new("a", cron!("0 * * * *")).jitter(MINUTE)],
        MINUTE,
    )
    .await;
    let fired: Vec<_> = deposited(&outbox).await.iter().map(occurrence_of).collect();
    assert_eq!(fired.len(), 1);
    assert_eq!(fired[0].scheduled_for, time("2026-06-01T12:00:00Z"));
}

#[tokio::test(start_paused = true)]
async fn a_restarted_older_version_leaves_new_schedules_active() {
    let outbox = outbox_at("2026-06-01T12:00:30Z");
    let a = || Recurring::new("a", cron!("0 0 * * *"));
    let b = || Recurring::new("b", cron!("30 * * * *"));
    let new = processor_of(outbox.clone(), [a(), b()]);
    tokio::time::sleep(SECOND).await;
    let old = processor_of(outbox.clone(), [a()]);
    tokio::time::sleep(SECOND).await;
    assert_eq!(state(&outbox, "b").await.0, ScheduleState::Gone);
    tokio::time::sleep(2 * MINUTE).await;
    assert_eq!(state(&outbox, "b").await.0, ScheduleState::Active);
    drop((new, old));
}

#[tokio::test(start_paused = true)]
async fn programs_with_names_leave_each_others_schedules_alone() {
    let outbox = outbox_at("2026-06-01T12:00:30Z");
    let program = |name: &str, schedule: &str| {
        CommandProcessor::builder()
            .outbox(outbox.clone())
            .broker(InMemoryBroker::new())
            .sweeper(Sweeper::default().min_age(400 * DAY))
            .schedules_of(name)
            .recurring(Recurring::<Report>::new(schedule, cron!("*/10 * * * *")))
            .build()
            .unwrap()
    };
    let (billing, mailing) = (program("billing", "bills"), program("mailing", "mails"));
    tokio::time::sleep(10 * MINUTE).await;
    drop(mailing);
    let fired = deposited(&outbox).await;
    assert_eq!(fired.len(), 2);
    assert_eq!(state(&outbox, "mails").await.0, ScheduleState::Active);
    tokio::time::sleep(10 * MINUTE).await;
    drop(billing);
    let fired = deposited(&outbox).await;
    assert_eq!(fired.len(), 1);
    assert_eq!(occurrence_of(&fired[0]).schedule, "bills");
}
