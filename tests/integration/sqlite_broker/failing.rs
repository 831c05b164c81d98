//! What goes wrong with a file.

use std::time::Duration;

use brighter::SqliteBroker;
use brighter::channel::{Broker, BrokerStatus, Channel, Producer, PublishError};
use brighter::message::MessageBody;
use brighter::transport::sqlite::{SqliteBrokerError, SqliteBrokerOptions};
use brighter_tests::databases::make_read_only;
use brighter_tests::wait::until;

use super::{Place, channel, id, message, next, publish, until_depth, with_buffer};

#[tokio::test]
async fn a_full_file_blocks_publishers_until_there_is_room() {
    let place = Place::new();
    let options = SqliteBrokerOptions::default().size_limit(600_000);
    let broker = SqliteBroker::open(place.path()).options(options).await.unwrap();
    let mut consumer = broker.consume(&with_buffer(1)).await.unwrap();
    let mut large = message("topic");
    large.body = MessageBody::new(vec![1; 50_000]);
    let mut sent = 0;
    let refused = loop {
        match broker.publish(&large).await {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 100, "full some time");
    };
    assert!(
        matches!(&refused, PublishError::Blocked { reason, .. } if reason.contains("full")),
        "{refused:?}"
    );
    assert!(refused.is_outage());
    assert!(sent > 3, "{sent}");
    for _ in 0..sent {
        next(&mut consumer).await.ack().await.unwrap();
    }
    until_depth(&broker, &channel(|_| ()), 0).await;
    until("it goes on", || broker.status() == BrokerStatus::Connected).await;
    broker.publish(&large).await.unwrap();
    next(&mut consumer).await.ack().await.unwrap();
}

/// A subscriber that went for good leaves a channel that fills the file for all.
#[tokio::test]
async fn a_file_filled_by_an_abandoned_channel_names_it() {
    let place = Place::new();
    let options = SqliteBrokerOptions::default().size_limit(600_000);
    let broker = SqliteBroker::open(place.path()).options(options).await.unwrap();
    let mut consumer = broker.consume(&with_buffer(1)).await.unwrap();
    let abandoned = Channel::new("abandoned", "topic");
    broker.declare(&abandoned).await.unwrap();
    let mut large = message("topic");
    large.body = MessageBody::new(vec![1; 50_000]);
    let refused = loop {
        match broker.publish(&large).await {
            Ok(()) => next(&mut consumer).await.ack().await.unwrap(),
            Err(error) => break error,
        }
    };
    let held = broker.depth(&abandoned).await.unwrap().unwrap();
    let names = format!("{held} in `abandoned`");
    assert!(
        matches!(&refused, PublishError::Blocked { reason, .. } if reason.contains(&names)),
        "{refused:?}"
    );
    until(
        "the status says so",
        || matches!(broker.status(), BrokerStatus::Blocked { reason } if reason.contains(&names)),
    )
    .await;
    broker.remove(&abandoned.name).await.unwrap();
    until("it goes on", || broker.status() == BrokerStatus::Connected).await;
    broker.publish(&large).await.unwrap();
    next(&mut consumer).await.ack().await.unwrap();
}

/// The lock is waited for, then told of; an ack that finds it so is not forgotten.
#[tokio::test]
async fn a_foreign_lock_is_reported_and_loses_nothing() {
    let place = Place::new();
    let broker = place.open().await;
    let mut consumer = broker.consume(&with_buffer(1)).await.unwrap();
    publish(&broker, 0..2).await;
    let held = next(&mut consumer).await;
    let file = place.others().await;
    let lock = file.begin_with("BEGIN IMMEDIATE").await.unwrap();
    held.ack().await.unwrap();
    let refused = broker.publish(&message("topic")).await.unwrap_err();
    assert!(matches!(refused, PublishError::Disconnected(_)), "{refused:?}");
    let status = broker.status();
    assert!(
        matches!(&status, BrokerStatus::Disconnected { reason } if reason.contains("locked")),
        "{status:?}"
    );
    lock.rollback().await.unwrap();
    let second = next(&mut consumer).await;
    assert_eq!(id(&second), "1", "the first was acked");
    second.ack().await.unwrap();
    until("it goes on", || broker.status() == BrokerStatus::Connected).await;
    until_depth(&broker, &channel(|_| ()), 0).await;
    broker.close().await;
    let broker = place.open().await;
    assert_eq!(broker.depth(&channel(|_| ())).await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_path_that_leads_nowhere_is_said_at_once() {
    let place = Place::new();
    let nowhere = SqliteBroker::open(place.folder.path().join("missing/broker.db")).await;
    assert!(
        matches!(nowhere, Err(SqliteBrokerError::Unavailable(_))),
        "{nowhere:?}"
    );
    let letter = place.folder.path().join("letter.txt");
    std::fs::write(&letter, "Dear Sirs, ".repeat(1_000)).unwrap();
    let letter = SqliteBroker::open(letter).await;
    assert!(matches!(letter, Err(SqliteBrokerError::Other(_))), "{letter:?}");
    let memory = SqliteBroker::open(":memory:").await;
    assert!(matches!(memory, Err(SqliteBrokerError::Other(_))), "{memory:?}");
}

/// SQLite opens it, and reads it, so that only the first message would fail.
#[tokio::test]
async fn an_unwritable_file_with_current_tables_is_refused() {
    let place = Place::new();
    place.open().await.close().await;
    make_read_only(&place.path());
    let refused = SqliteBroker::open(place.path()).await;
    assert!(
        matches!(refused, Err(SqliteBrokerError::ReadOnly(_))),
        "{refused:?}"
    );
}

/// The lock of another is no reason to wait: that a file can be written is known without it.
#[tokio::test]
async fn a_file_is_opened_while_another_writes_it() {
    let place = Place::new();
    let broker = place.open().await;
    broker.declare(&channel(|_| ())).await.unwrap();
    broker.close().await;
    let file = place.others().await;
    let lock = file.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let broker = place.open().await;
    lock.rollback().await.unwrap();
    publish(&broker, 0..1).await;
}

#[tokio::test]
async fn tables_of_a_newer_brighter_are_refused() {
    let place = Place::new();
    place.open().await.close().await;
    sqlx::query("UPDATE brighter_schema SET version = 99 WHERE name = 'broker'")
        .execute(&place.others().await)
        .await
        .unwrap();
    let newer = SqliteBroker::open(place.path()).await;
    assert!(
        matches!(newer, Err(SqliteBrokerError::NewerSchema { found: 99, .. })),
        "{newer:?}"
    );
}

/// A process that was away for longer than its lease, as one that was stopped or slept, finds that others have what it
/// had, and goes on.
#[tokio::test]
async fn an_expired_session_settles_nothing_and_restarts() {
    let place = Place::new();
    let broker = place.open().await;
    let mut consumer = broker.consume(&with_buffer(2)).await.unwrap();
    publish(&broker, 0..2).await;
    let (one, two) = (next(&mut consumer).await, next(&mut consumer).await);
    let file = place.others().await;
    sqlx::query("UPDATE brighter_broker_sessions SET alive_until = 0")
        .execute(&file)
        .await
        .unwrap();
    let other = place.open().await;
    let mut heir = other.consume(&with_buffer(2)).await.unwrap();
    for number in ["0", "1"] {
        let delivery = next(&mut heir).await;
        assert_eq!((id(&delivery).as_str(), delivery.redeliveries()), (number, 1));
        delivery.ack().await.unwrap();
    }
    until_depth(&other, &channel(|_| ()), 0).await;
    one.ack().await.unwrap();
    let stale = two.requeue(Duration::ZERO, true).await;
    assert!(
        matches!(stale, Err(brighter::channel::SettleError::Stale)),
        "{stale:?}"
    );
    drop(heir);
    other.close().await;
    publish(&broker, [2]).await;
    assert_eq!(id(&next(&mut consumer).await), "2");
}
