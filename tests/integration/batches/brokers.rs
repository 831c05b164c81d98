//! Batches on each broker.

use std::collections::BTreeSet;

use brighter::channel::Broker;
use brighter_tests::rabbitmq::Corner;
use brighter_tests::wait::until_eq;

use super::*;

/// A hundred messages, three of them poison: each that is good is handled once, and each poison one is dead.
async fn is_handled_in_batches(broker: impl Broker + Clone, subscription: Subscription<Row>) {
    let handled = Arc::new(Mutex::new(Vec::new()));
    let store = {
        let handled = Arc::clone(&handled);
        Store::new(move |batch| {
            if batch.iter().any(|row| row.number % 40 == 7) {
                return Err("poison".into());
            }
            handled.lock().unwrap().extend(batch.iter().map(|row| row.number));
            Ok(())
        })
    };
    let dead = Arc::new(Mutex::new(BTreeSet::new()));
    let dead_letters = subscription.settings().channel.dead_letters.clone();
    let dispatcher = consuming(broker.clone(), &store, subscription.attempts(1)).await;
    post(&dispatcher, rows(100)).await;
    until_eq("all good ones", 97, || handled.lock().unwrap().len()).await;
    let unique: BTreeSet<_> = handled.lock().unwrap().iter().copied().collect();
    assert_eq!(unique.len(), 97);

    let mut consumer = broker
        .consume(&brighter::channel::Channel::existing(dead_letters))
        .await
        .unwrap();
    while dead.lock().unwrap().len() < 3 {
        use futures_util::StreamExt;
        let next = tokio::time::timeout(brighter_tests::wait::deadline(), consumer.next());
        let delivery = next.await.unwrap().unwrap().unwrap();
        let row: Row = serde_json::from_slice(delivery.message().unwrap().body.as_bytes()).unwrap();
        dead.lock().unwrap().insert(row.number);
        delivery.ack().await.unwrap();
    }
    assert_eq!(*dead.lock().unwrap(), BTreeSet::from([7, 47, 87]));
    let most = store.sizes().into_iter().max().unwrap();
    assert!(most > 1, "no batch: {:?}", store.sizes());
    drop(consumer);
    let report = dispatcher.end().await;
    assert!(report.interrupted.is_empty(), "{report:?}");
}

#[tokio::test]
async fn in_memory() {
    is_handled_in_batches(InMemoryBroker::new(), table()).await;
}

#[tokio::test]
async fn on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let broker = brighter::SqliteBroker::open(folder.path().join("broker.db"))
        .await
        .unwrap();
    is_handled_in_batches(broker, table()).await;
}

#[tokio::test]
async fn on_rabbitmq() {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("rows", "Row");
    is_handled_in_batches(broker, table().channel(channel.name)).await;
}
