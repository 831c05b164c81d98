//! What a processor says of its health.

use std::time::Duration;

use brighter::channel::Broker;
use brighter::prelude::*;
use brighter::processor::{Health, HealthOptions, Unhealthy};
use brighter::store::postgres::PostgresOutbox;
use brighter::store::sqlite::SqliteOutbox;
use brighter::{CommandProcessor, Sweeper};
use brighter_tests::wait::DEADLINE;
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;

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
async fn an_outbox_that_nobody_empties_is_stuck_and_says_since_when() {
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
async fn what_the_broker_refuses_alone_makes_no_outbox_stuck() {
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
async fn an_outbox_that_is_silent_is_told_within_the_deadline_and_one_that_is_away_with_the_reason() {
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
async fn a_sweeper_that_fails_says_so_and_a_broker_that_was_closed_too() {
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
