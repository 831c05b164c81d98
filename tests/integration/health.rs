//! What a processor says of its health.

use std::collections::BTreeSet;
use std::time::Duration;

use brighter::channel::{Broker, Channel};
use brighter::prelude::*;
use brighter::processor::{Health, HealthOptions, Held, Unhealthy};
use brighter::store::postgres::PostgresOutbox;
use brighter::store::sqlite::SqliteOutbox;
use brighter::{Archiver, CommandProcessor, SqliteBroker, Sweeper};
use brighter_tests::wait::{DEADLINE, until_eq};
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;
use tokio::runtime::Runtime;

use crate::gate::Gate;

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "Health.Checked")]
struct Checked;

/// Asks the outbox each time.
fn always() -> HealthOptions {
    HealthOptions::default().check_interval(Duration::ZERO)
}

/// Asks until health is as it should be.
async fn until_health(processor: &CommandProcessor, is: impl Fn(&Health) -> bool) -> Health {
    let asking = async {
        loop {
            let health = processor.health().await;
            if is(&health) {
                return health;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(DEADLINE, asking).await.unwrap()
}

async fn sqlite(folder: &tempfile::TempDir) -> SqlitePool {
    let path = folder.path().join("outbox.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true);
    // One, so that a test can have all there are.
    let pool = SqlitePoolOptions::new().max_connections(1);
    pool.connect_with(options).await.unwrap()
}

#[tokio::test]
async fn an_unswept_outbox_is_stuck_with_its_age() {
    let outbox = InMemoryOutbox::new();
    let processor = CommandProcessor::builder()
        .broker(InMemoryBroker::new())
        .outbox(outbox.clone())
        .without_sweeper()
        .health(always().max_age(Duration::ZERO))
        .build()
        .unwrap();
    assert!(processor.health().await.is_ready());

    let mut tx = outbox.begin();
    processor.deposit_post(&mut tx, Checked).await.unwrap();
    tx.commit().unwrap();
    let health = until_health(&processor, |health| !health.is_ready()).await;
    assert!(
        matches!(
            health.reasons[..],
            [Unhealthy::OutboxStuck { outstanding: 1, .. }]
        ),
        "{health}"
    );
    assert_eq!(health.outbox.unwrap().outstanding, 1);

    let json = serde_json::to_value(&health).unwrap();
    assert_eq!(json["reasons"][0]["kind"], "outbox_stuck");
    assert_eq!(serde_json::from_value::<Health>(json).unwrap(), health);
}

#[tokio::test]
async fn single_refused_messages_make_no_outbox_stuck() {
    // No channel wants it, so it is refused, and waits for longer than the bound.
    let processor = CommandProcessor::builder()
        .broker(InMemoryBroker::new())
        .outbox(InMemoryOutbox::new())
        .sweeper(Sweeper::default().interval(Duration::from_millis(1)))
        .health(always().max_age(Duration::from_secs(600)))
        .build()
        .unwrap();
    processor.post(Checked).await.unwrap_err();
    let health = processor.health().await;
    assert!(health.is_ready(), "{health}");
    assert_eq!(health.outbox.unwrap().outstanding, 1);
}

#[tokio::test]
async fn silent_and_unreachable_outboxes_are_reported_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let pool = sqlite(&folder).await;
    let processor = CommandProcessor::builder()
        .outbox(SqliteOutbox::from_pool(pool.clone()).await.unwrap())
        .health(always().check_timeout(Duration::from_millis(20)))
        .build()
        .unwrap();
    let held = pool.acquire().await.unwrap();
    let health = processor.health().await;
    assert!(
        matches!(health.reasons[..], [Unhealthy::OutboxSilent { .. }]),
        "{health}"
    );
    drop(held);
    pool.close().await;
    let health = processor.health().await;
    assert!(
        matches!(health.reasons[..], [Unhealthy::OutboxAway { .. }]),
        "{health}"
    );
}

#[tokio::test]
async fn many_who_ask_are_one_question_to_the_outbox() {
    let folder = tempfile::tempdir().unwrap();
    let pool = sqlite(&folder).await;
    let processor = CommandProcessor::builder()
        .outbox(SqliteOutbox::from_pool(pool.clone()).await.unwrap())
        .health(HealthOptions::default().check_interval(Duration::from_secs(3600)))
        .build()
        .unwrap();
    assert!(processor.health().await.is_ready());
    // From now on it could not be asked.
    pool.close().await;
    for health in futures_util::future::join_all((0..100).map(|_| processor.health())).await {
        assert!(health.is_ready(), "{health}");
    }
}

#[tokio::test]
async fn health_reports_a_failing_sweeper_and_closed_broker() {
    let folder = tempfile::tempdir().unwrap();
    let pool = sqlite(&folder).await;
    let broker = InMemoryBroker::new();
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(SqliteOutbox::from_pool(pool.clone()).await.unwrap())
        .sweeper(Sweeper::default().interval(Duration::from_millis(1)))
        .health(always())
        .build()
        .unwrap();
    pool.close().await;
    let fails = |reason: &Unhealthy| matches!(reason, Unhealthy::SweeperFails { .. });
    until_health(&processor, |health| health.reasons.iter().any(fails)).await;
    broker.close().await;
    let health = processor.health().await;
    assert!(health.reasons.contains(&Unhealthy::Closed), "{health}");
}

/// A subscriber that went for good holds up nobody, is named, and is removed by a person.
#[tokio::test]
async fn a_full_channel_blocks_no_other_and_is_named() {
    let broker = InMemoryBroker::new();
    let mut abandoned = Channel::new("abandoned", "Health.Checked");
    abandoned.limits.length = Some(1);
    broker.declare(&abandoned).await.unwrap();
    let living = Channel::new("living", "Health.Checked");
    broker.declare(&living).await.unwrap();
    let processor = CommandProcessor::builder()
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .sweeper(Sweeper::default().pause_topic_after(1, Duration::from_hours(1)))
        .health(always())
        .build()
        .unwrap();
    processor.post(Checked).await.unwrap();
    assert!(processor.health().await.full_channels.is_empty());
    for posted in 2..5 {
        let refused = processor.post(Checked).await.unwrap_err();
        assert!(
            refused.report().contains("channel `abandoned` is full"),
            "{}",
            refused.report()
        );
        // The topic is not paused, so that each is sent at once.
        assert!(processor.outbox().paused_topics().is_empty());
        let ids: BTreeSet<_> = broker
            .messages("living")
            .iter()
            .map(|it| it.header.id.clone())
            .collect();
        assert_eq!(ids.len(), posted);
    }
    let health = processor.health().await;
    assert!(health.is_ready(), "{health}");
    let [full] = &health.full_channels[..] else {
        panic!("{health}");
    };
    assert_eq!((&full.channel, full.waiting), (&abandoned.name, 1));
    assert_eq!(full.topic, "Health.Checked");
    assert!(
        health.to_string().contains("channel `abandoned` is full"),
        "{health}"
    );
    let json = serde_json::to_value(&health).unwrap();
    assert_eq!(json["full_channels"][0]["channel"], "abandoned");
    assert_eq!(serde_json::from_value::<Health>(json).unwrap(), health);

    broker.remove(&abandoned.name).await.unwrap();
    until_health(&processor, |health| {
        health.outbox.is_some_and(|outbox| outbox.outstanding == 0)
    })
    .await;
    assert!(processor.health().await.full_channels.is_empty());
}

fn a_runtime() -> Runtime {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build().unwrap()
}

/// A processor whose runtime has ended, with a channel that wants what is posted.
fn that_outlives_its_runtime() -> (CommandProcessor, InMemoryBroker) {
    let broker = InMemoryBroker::new();
    let runtime = a_runtime();
    let processor = runtime.block_on(async {
        let channel = Channel::new("checked", "Health.Checked");
        broker.declare(&channel).await.unwrap();
        CommandProcessor::builder()
            .broker(broker.clone())
            .outbox(InMemoryOutbox::new())
            .sweeper(Sweeper::default().interval(Duration::from_millis(1)))
            .archiver(Archiver::delete_after(Duration::ZERO).interval(Duration::from_millis(1)))
            .health(always())
            .build()
            .unwrap()
    });
    drop(runtime);
    (processor, broker)
}

#[test]
fn scheduled_posts_are_sent_after_the_first_runtime_ends() {
    let (processor, broker) = that_outlives_its_runtime();
    a_runtime().block_on(async {
        let soon = Duration::from_millis(1);
        processor.post(Checked).after(soon).await.unwrap();
        until_eq("the post", 1, || broker.messages("checked").len()).await;
        assert!(processor.health().await.is_ready());
    });
}

#[test]
fn health_names_and_restarts_tasks_that_ended() {
    let (processor, broker) = that_outlives_its_runtime();
    for _ in 0..2 {
        let runtime = a_runtime();
        let health = runtime.block_on(processor.health());
        let ended = ["sweeper", "archiver"].map(|task| Unhealthy::TaskEnded { task: task.into() });
        assert_eq!(health.reasons, ended);
        let health = runtime.block_on(until_health(&processor, Health::is_ready));
        assert!(health.is_ready(), "{health}");
    }
    // Closed, it has no task that should be there.
    let runtime = a_runtime();
    runtime.block_on(processor.health());
    runtime.block_on(processor.close());
    drop(runtime);
    let health = a_runtime().block_on(processor.health());
    assert_eq!(health.reasons, [Unhealthy::Closed]);
    drop(broker);
}

/// It is not gone, so nothing starts it again.
#[test]
fn a_sweeper_whose_runtime_stands_still_is_told_of() {
    let current_thread = || tokio::runtime::Builder::new_current_thread();
    let standing = current_thread().enable_all().build().unwrap();
    let processor = standing.block_on(async {
        let builder = CommandProcessor::builder()
            .broker(InMemoryBroker::new())
            .outbox(InMemoryOutbox::new());
        builder.health(always()).build().unwrap()
    });
    let other = current_thread().enable_all().start_paused(true).build().unwrap();
    let health = other.block_on(async {
        assert!(processor.health().await.is_ready());
        tokio::time::advance(Duration::from_secs(301)).await;
        processor.health().await
    });
    assert!(
        matches!(health.reasons[..], [Unhealthy::SweeperStalled { .. }]),
        "{health}"
    );
    standing.block_on(until_health(&processor, Health::is_ready));
}

#[tokio::test]
async fn an_unsent_scheduled_post_is_stuck_with_its_age() {
    let folder = tempfile::tempdir().unwrap();
    let options = || always().max_age(Duration::ZERO);
    let builder = || CommandProcessor::builder().without_sweeper().health(options());
    let sqlite = SqliteOutbox::open(folder.path().join("outbox.db")).await.unwrap();
    let in_memory = InMemoryOutbox::new();
    for processor in [
        builder().outbox(sqlite).build().unwrap(),
        builder().outbox(in_memory).build().unwrap(),
    ] {
        let day = Duration::from_hours(24);
        processor.post(Checked).after(day).await.unwrap();
        assert!(processor.health().await.is_ready());
        let soon = Duration::from_millis(1);
        processor.post(Checked).after(soon).await.unwrap();
        let health = until_health(&processor, |health| !health.is_ready()).await;
        assert!(
            matches!(
                health.reasons[..],
                [Unhealthy::ScheduleStuck {
                    swept_here: false,
                    ..
                }]
            ),
            "{health}"
        );
        assert!(
            health.to_string().contains("no sweeper runs in this process"),
            "{health}"
        );
    }
}

/// A database that goes and comes back, as a time line of what is said: it is away within the deadline of a question,
/// and there again without anybody's help.
#[tokio::test]
async fn health_follows_an_outage_of_the_database() {
    let corner = brighter_tests::databases::Postgres::new().await;
    let gate = Gate::to(corner.address()).await;
    let pool = corner.pool_by(&gate.address).await;
    let outbox = PostgresOutbox::from_pool(pool).await.unwrap();
    let processor = CommandProcessor::builder()
        .broker(InMemoryBroker::new())
        .outbox(outbox)
        .sweeper(Sweeper::default().interval(Duration::from_millis(10)))
        .health(always().check_timeout(Duration::from_millis(500)))
        .build()
        .unwrap();
    for _ in 0..3 {
        until_health(&processor, Health::is_ready).await;
        gate.open(false);
        let health = until_health(&processor, |health| !health.is_ready()).await;
        let of_the_database = |reason: &Unhealthy| {
            matches!(
                reason,
                Unhealthy::OutboxAway { .. }
                    | Unhealthy::OutboxSilent { .. }
                    | Unhealthy::SweeperFails { .. }
            )
        };
        assert!(health.reasons.iter().all(of_the_database), "{health}");
        let fails = |reason: &Unhealthy| matches!(reason, Unhealthy::SweeperFails { .. });
        until_health(&processor, |health| health.reasons.iter().any(fails)).await;
        gate.open(true);
    }
    until_health(&processor, Health::is_ready).await;
    processor.close().await;
}

/// What a killed process held is shown while its lease goes on: nobody else gets it, though nothing is wrong here.
#[tokio::test]
async fn messages_of_a_silent_process_show_until_its_lease_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broker.db");
    let broker = SqliteBroker::open(&path).await.unwrap();
    broker
        .declare(&Channel::new("checked", "Health.Checked"))
        .await
        .unwrap();
    let builder = CommandProcessor::builder().broker(broker.clone());
    let processor = builder
        .outbox(InMemoryOutbox::new())
        .health(always())
        .build()
        .unwrap();
    processor.post(Checked).await.unwrap();
    assert!(processor.health().await.held.is_empty());

    // As the process that took it has left the file: with a lease of 15 s that it has not renewed for 10 s.
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let others = SqlitePool::connect_with(options).await.unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let until = i64::try_from(now.as_millis()).unwrap() + 5_000;
    for (statement, until) in [
        (
            "INSERT INTO brighter_broker_sessions (id, alive_until) VALUES (77, ?1), (78, ?1 + 9000)",
            until,
        ),
        (
            "INSERT INTO brighter_broker_held (seq, session) SELECT seq, 77 FROM brighter_broker_messages WHERE ?1 > 0",
            until,
        ),
    ] {
        sqlx::query(statement).bind(until).execute(&others).await.unwrap();
    }
    let health = processor.health().await;
    assert!(health.is_ready(), "{health}");
    let [
        Held::BySilentConsumer {
            consumer,
            messages: 1,
            seconds_left,
            ..
        },
    ] = &health.held[..]
    else {
        panic!("{health}");
    };
    assert_eq!(consumer, "session 77");
    assert!(*seconds_left <= 5.0, "{health}");
    assert!(
        health
            .to_string()
            .contains("session 77 of the broker holds 1 messages"),
        "{health}"
    );
    let json = serde_json::to_value(&health).unwrap();
    assert_eq!(json["held"][0]["kind"], "by_silent_consumer");
    assert_eq!(serde_json::from_value::<Health>(json).unwrap(), health);
    others.close().await;
    processor.close().await;
}
