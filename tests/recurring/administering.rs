//! Schedules at run time: listed, paused, run, added and removed.

use brighter::outbox::{ScheduleOrigin, ScheduleState};
use brighter::schedule::{Cron, Overlap, Recurring, ScheduleError, cron};

use super::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Message)]
#[message(topic = "Recurring.Tenant", kind = "event")]
struct TenantReport {
    tenant: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Recurring.Numbered")]
struct Numbered {
    id: MessageId,
}

fn tenant() -> TenantReport {
    TenantReport {
        tenant: "north".into(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_schedule_is_listed_with_its_words_and_next_times() {
    let outbox = outbox_at("2026-03-27T12:00:30Z");
    let nightly = Recurring::new("nightly", cron!("30 2 * * *")).time_zone("Europe/Berlin");
    let processor = processor_of(outbox, [nightly, Recurring::new("other", cron!("@daily"))]);
    tokio::time::sleep(SECOND).await;
    let schedules = processor.schedules();
    let listed = schedules.list(None, 10).await.unwrap();
    let names: Vec<_> = listed.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["nightly", "other"]);
    assert_eq!(schedules.list(Some("nightly"), 10).await.unwrap().len(), 1);
    let nightly = &listed[0];
    assert_eq!(
        (nightly.cron.as_str(), nightly.words.as_str()),
        ("30 2 * * *", "At 02:30.")
    );
    assert_eq!(nightly.origin, ScheduleOrigin::code(""));
    let next: Vec<_> = nightly
        .next
        .iter()
        .map(|one| (one.local.as_str(), one.is_moved))
        .collect();
    assert_eq!(
        next,
        [
            ("2026-03-28T02:30:00+01:00", false),
            ("2026-03-29T03:00:00+02:00", true),
            ("2026-03-30T02:30:00+02:00", false),
            ("2026-03-31T02:30:00+02:00", false),
            ("2026-04-01T02:30:00+02:00", false),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_paused_schedule_makes_up_for_nothing() {
    let outbox = outbox_at("2026-06-01T12:00:30Z");
    let processor = processor_of(outbox.clone(), [Recurring::new("a", cron!("0 * * * *"))]);
    tokio::time::sleep(SECOND).await;
    let schedules = processor.schedules();
    schedules.pause("a").await.unwrap();
    tokio::time::sleep(3 * HOUR).await;
    let paused = schedules.get("a").await.unwrap();
    assert_eq!((paused.state, paused.next.len()), (ScheduleState::Paused, 0));
    assert!(matches!(
        schedules.skip_next("a").await,
        Err(ScheduleError::Paused { .. })
    ));
    schedules.resume("a").await.unwrap();
    tokio::time::sleep(HOUR).await;
    let fired: Vec<_> = deposited(&outbox).await.iter().map(occurrence_of).collect();
    assert_eq!(fired.len(), 1);
    assert_eq!(fired[0].scheduled_for, time("2026-06-01T16:00:00Z"));
}

#[tokio::test(start_paused = true)]
async fn a_pause_outlives_the_process() {
    let outbox = outbox_at("2026-06-01T12:00:30Z");
    let a = || Recurring::new("a", cron!("0 * * * *"));
    let processor = processor_of(outbox.clone(), [a()]);
    tokio::time::sleep(SECOND).await;
    processor.schedules().pause("a").await.unwrap();
    drop(processor);
    let _processor = processor_of(outbox.clone(), [a().jitter(SECOND)]);
    tokio::time::sleep(3 * HOUR).await;
    assert!(deposited(&outbox).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_occurrence_is_skipped_and_one_run_by_hand() {
    let outbox = outbox_at("2026-06-01T12:00:30Z");
    let processor = processor_of(outbox.clone(), [Recurring::new("a", cron!("0 * * * *"))]);
    tokio::time::sleep(SECOND).await;
    let schedules = processor.schedules();
    schedules.skip_next("a").await.unwrap();
    schedules.run_now("a").await.unwrap();
    schedules.run_now("a").await.unwrap();
    tokio::time::sleep(90 * MINUTE).await;
    let fired: Vec<_> = deposited(&outbox).await.iter().map(occurrence_of).collect();
    assert_eq!(fired.len(), 1);
    assert!(fired[0].is_on_request);
    assert_eq!(fired[0].next, Some(time("2026-06-01T13:00:00Z")));
    tokio::time::sleep(HOUR).await;
    let fired: Vec<_> = deposited(&outbox).await.iter().map(occurrence_of).collect();
    assert_eq!(fired.len(), 1);
    assert_eq!(fired[0].scheduled_for, time("2026-06-01T14:00:00Z"));
    assert!(!fired[0].is_on_request);
}

#[tokio::test(start_paused = true)]
async fn any_process_fires_an_added_schedule_until_its_removal() {
    let outbox = outbox_at("2026-06-01T12:00:30Z");
    let adding = processor_of(outbox.clone(), []);
    let schedules = adding.schedules();
    let every = || Cron::parse("0 */2 * * *").unwrap();
    assert!(
        schedules
            .add("tenant-north", every(), tenant())
            .time_zone("Asia/Tokyo")
            .await
            .unwrap()
    );
    assert!(!schedules.add("tenant-north", every(), tenant()).await.unwrap());
    let added = schedules.get("tenant-north").await.unwrap();
    assert_eq!(
        (added.origin, added.zone.as_str()),
        (ScheduleOrigin::Runtime, "Asia/Tokyo")
    );
    drop(adding);

    let firing = processor_of(outbox.clone(), []);
    tokio::time::sleep(4 * HOUR).await;
    let fired = deposited(&outbox).await;
    assert_eq!(fired.len(), 2);
    for message in &fired {
        assert_eq!(message.header.topic, "Recurring.Tenant");
        let body: TenantReport = serde_json::from_slice(message.body.as_bytes()).unwrap();
        assert_eq!(body, tenant());
        assert_eq!(occurrence_of(message).id, message.header.id);
    }
    assert_eq!(occurrence_of(&fired[0]).local, "2026-06-01T22:00:00+09:00");
    firing.schedules().remove("tenant-north").await.unwrap();
    tokio::time::sleep(4 * HOUR).await;
    assert!(deposited(&outbox).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn errors_of_administration_say_what_to_do() {
    let outbox = outbox_at("2026-06-01T12:00:30Z");
    let processor = processor_of(outbox.clone(), [Recurring::new("a", cron!("0 * * * *"))]);
    tokio::time::sleep(SECOND).await;
    let schedules = processor.schedules();
    let daily = || Cron::parse("@daily").unwrap();
    let told = |error: ScheduleError| {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        format!("{error}{}", source.unwrap_or_default())
    };
    let errors = [
        (
            schedules.pause("b").await.unwrap_err(),
            "there is no schedule `b`",
        ),
        (
            schedules.remove("a").await.unwrap_err(),
            "remove its `.recurring(…)` there",
        ),
        (
            schedules.add("", daily(), tenant()).await.unwrap_err(),
            "invalid schedule ``: its name cannot be used: it is empty",
        ),
        (
            schedules
                .add("b", daily(), tenant())
                .time_zone("Europe/Nowhere")
                .await
                .unwrap_err(),
            "the time zone `Europe/Nowhere` is unknown",
        ),
        (
            schedules
                .add("b", daily(), tenant())
                .jitter(DAY)
                .await
                .unwrap_err(),
            "the jitter 86400s is not shorter",
        ),
        (
            schedules
                .add("b", daily(), tenant())
                .overlap_timeout(Duration::ZERO)
                .await
                .unwrap_err(),
            "`overlap_timeout` is zero",
        ),
        (
            schedules
                .add("b", daily(), Numbered { id: MessageId::new() })
                .await
                .unwrap_err(),
            "has an id, which all its occurrences would share",
        ),
    ];
    for (error, part) in errors {
        let told = told(error);
        assert!(told.contains(part), "{told}");
    }
    drop(processor);
    let processor = processor_of(outbox, []);
    tokio::time::sleep(SECOND).await;
    assert!(matches!(
        processor.schedules().resume("a").await,
        Err(ScheduleError::Gone { .. })
    ));
    assert!(matches!(
        processor.schedules().run_now("a").await,
        Err(ScheduleError::Gone { .. })
    ));
    processor.schedules().remove("a").await.unwrap();

    let none = CommandProcessor::builder().build().unwrap();
    assert!(matches!(
        none.schedules().list(None, 1).await,
        Err(ScheduleError::NoOutbox)
    ));
}

#[tokio::test(start_paused = true)]
async fn an_added_schedule_without_overlap_waits_for_an_inbox() {
    let outbox = outbox_at("2026-06-01T12:00:30Z");
    let processor = processor_of(outbox.clone(), []);
    let hourly = Cron::parse("@hourly").unwrap();
    processor
        .schedules()
        .add("a", hourly, tenant())
        .overlap(Overlap::Skip)
        .await
        .unwrap();
    tokio::time::sleep(5 * HOUR).await;
    // Nobody completes the first one, which is over after a day.
    assert_eq!(deposited(&outbox).await.len(), 1);
    tokio::time::sleep(20 * HOUR).await;
    assert_eq!(deposited(&outbox).await.len(), 1);
}
