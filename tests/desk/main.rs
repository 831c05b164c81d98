//! The desk, on real brokers and databases.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod brokers;
mod contract;
mod crashing;
mod killing;
mod many;
mod operating;

use std::sync::Arc;

use brighter::channel::{Broker, Channel, Rejection, RejectionKind};
use brighter::desk::{BulkOperation, Desk, DeskFilter, DeskId, DeskStore, OperationId};
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::{Message, MessageId};
use brighter_tests::wait::deadline;
use tokio::time::{Instant, sleep, timeout};

/// Puts dead letters into the channel, one for each reason, and returns their ids.
async fn bury(
    broker: &dyn Broker,
    channel: &Channel,
    reasons: impl IntoIterator<Item = String>,
) -> Vec<MessageId> {
    let mut consumer = broker.consume(channel).await.unwrap();
    let mut ids = Vec::new();
    for reason in reasons {
        let id = MessageId::new();
        let header = MessageHeader::new(id.clone(), channel.routing_keys[0].clone(), MessageType::Event);
        broker
            .publish(&Message::new(header, MessageBody::new("{}")))
            .await
            .unwrap();
        let delivery = timeout(deadline(), consumer.receive()).await;
        let delivery = delivery.expect("in time").expect("not closed").expect("not lost");
        let rejection = Rejection::new(RejectionKind::DeadLetter, reason);
        delivery.reject(rejection).await.unwrap();
        ids.push(id);
    }
    consumer.close().await.unwrap();
    ids
}

async fn rows(store: &dyn DeskStore, filter: &str) -> Vec<DeskId> {
    let filter: DeskFilter = filter.parse().unwrap();
    let rows = store.list(&filter, None, 10_000).await.unwrap();
    rows.iter().map(|row| row.id).collect()
}

/// Waits until an operation is as it must be, and returns it.
async fn until_operation(
    desk: &Desk,
    id: OperationId,
    what: &str,
    is_so: impl Fn(&BulkOperation) -> bool,
) -> BulkOperation {
    let end = Instant::now() + deadline();
    loop {
        let operation = desk.store().operation(id).await.unwrap().unwrap();
        if is_so(&operation) {
            return operation;
        }
        assert!(Instant::now() < end, "not in time: {what}: {operation:?}");
        sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Waits until so many rows are chosen.
async fn until_rows(store: &dyn DeskStore, filter: &str, expected: usize) {
    let end = Instant::now() + deadline();
    loop {
        let found = rows(store, filter).await.len();
        if found == expected {
            return;
        }
        assert!(
            Instant::now() < end,
            "not in time: {found} of {expected} rows for `{filter}`"
        );
        sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn shared<B: Broker>(broker: B) -> Arc<dyn Broker> {
    Arc::new(broker)
}
