//! Several brokers over one file, each with connections of its own, as those of several processes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brighter::channel::{Broker, Producer};
use brighter::prelude::*;
use brighter::{CommandProcessor, Dispatcher, SqliteBroker, SqliteOutbox};
use brighter_tests::wait::{deadline, until};
use tokio::sync::Mutex;

use super::{Place, channel, id, message, next, publish, until_depth, with_buffer};

#[tokio::test]
async fn publishing_wakes_the_consumer_of_another_broker() {
    let place = Place::new();
    let (one, other) = (place.open().await, place.open().await);
    let mut consumer = other.consume(&channel(|_| ())).await.unwrap();
    for number in 0..5 {
        publish(&one, [number]).await;
        let delivery = next(&mut consumer).await;
        assert_eq!(id(&delivery), number.to_string());
        delivery.ack().await.unwrap();
    }
    until_depth(&one, &channel(|_| ()), 0).await;
}

#[tokio::test]
async fn a_channel_that_another_makes_is_known_at_once() {
    let place = Place::new();
    let (one, other) = (place.open().await, place.open().await);
    assert!(one.publish(&message("topic")).await.is_err());
    other.declare(&channel(|_| ())).await.unwrap();
    one.publish(&message("topic")).await.unwrap();
    other
        .declare(&brighter::channel::Channel::new("late", "topic"))
        .await
        .unwrap();
    one.publish(&message("topic")).await.unwrap();
    let late = brighter::channel::Channel::new("late", "");
    assert_eq!(one.depth(&late).await.unwrap(), Some(1));
}

#[tokio::test]
async fn consumers_of_several_brokers_never_share_a_message() {
    const MESSAGES: usize = 2_000;
    let place = Place::new();
    let seen = Arc::new(Mutex::new(BTreeMap::<String, usize>::new()));
    let done = Arc::new(AtomicUsize::new(0));
    let mut consuming = Vec::new();
    for _ in 0..3 {
        let broker = place.open().await;
        let mut consumer = broker.consume(&with_buffer(20)).await.unwrap();
        let (seen, done) = (Arc::clone(&seen), Arc::clone(&done));
        consuming.push(tokio::spawn(async move {
            while let Some(delivery) = consumer.receive().await {
                let delivery = delivery.unwrap();
                *seen.lock().await.entry(id(&delivery)).or_default() += 1;
                delivery.ack().await.unwrap();
                done.fetch_add(1, Ordering::Relaxed);
            }
            drop(broker);
        }));
    }
    let publisher = place.open().await;
    for some in (0..MESSAGES).collect::<Vec<_>>().chunks(100) {
        publish(&publisher, some.iter().copied()).await;
    }
    until("all are handled", || done.load(Ordering::Relaxed) >= MESSAGES).await;
    consuming.iter().for_each(tokio::task::JoinHandle::abort);
    let seen = seen.lock().await;
    assert_eq!(seen.len(), MESSAGES);
    assert!(seen.values().all(|times| *times == 1));
    until_depth(&publisher, &channel(|_| ()), 0).await;
}

#[tokio::test]
async fn a_message_held_beyond_the_lease_stays() {
    let place = Place::new();
    const LEASE: u32 = 3_000;
    let one = place.open_with_lease(LEASE.into()).await;
    let other = place.open_with_lease(LEASE.into()).await;
    let mut holder = one.consume(&channel(|_| ())).await.unwrap();
    publish(&one, [0]).await;
    let held = next(&mut holder).await;
    let _waiting = other.consume(&channel(|_| ())).await.unwrap();
    let file = place.others().await;
    let alive_until = async || {
        let until = sqlx::query_scalar::<_, Option<i64>>(
            "SELECT s.alive_until FROM brighter_broker_held h JOIN brighter_broker_sessions s ON s.id = h.session",
        );
        until.fetch_one(&file).await.unwrap().unwrap()
    };
    let begun = alive_until().await;
    let renewed = tokio::time::timeout(deadline(), async {
        while alive_until().await < begun + i64::from(LEASE) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    renewed.await.expect("a whole lease has gone by");
    assert_eq!(other.depth(&channel(|_| ())).await.unwrap(), Some(0));
    held.ack().await.unwrap();
    until_depth(&other, &channel(|_| ()), 0).await;
}

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "topic")]
struct Work {
    number: usize,
}

struct Counts(Arc<AtomicUsize>);

#[handler]
impl Handler<Work> for Counts {
    async fn handle(&self, _: &Work) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// The rows of the application, its outbox and the broker, in one file.
#[tokio::test]
async fn an_outbox_and_the_broker_share_a_file() {
    let place = Place::new();
    let outbox = SqliteOutbox::open(place.path()).await.unwrap();
    let broker = SqliteBroker::open(place.path()).await.unwrap();
    let handled = Arc::new(AtomicUsize::new(0));
    let processor = CommandProcessor::builder()
        .handler(Counts(Arc::clone(&handled)))
        .broker(broker)
        .outbox(outbox.clone())
        // It hears of the commit, and would be there first now and then.
        .without_sweeper()
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(Subscription::<Work>::new("c").performers(2))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    let mut tx = outbox.pool().begin_with("BEGIN IMMEDIATE").await.unwrap();
    let works = (0..50).map(|number| Work { number });
    let ids = processor.deposit_posts(&mut tx, works).await.unwrap();
    tx.commit().await.unwrap();
    let cleared = processor.clear_outbox(&ids).await.unwrap();
    assert_eq!((cleared.sent, cleared.kept.len()), (50, 0));
    for number in 50..60 {
        processor.post(Work { number }).await.unwrap();
    }
    until("all are handled", || handled.load(Ordering::Relaxed) == 60).await;
    dispatcher.end().await;
    assert_eq!(handled.load(Ordering::Relaxed), 60);
}
