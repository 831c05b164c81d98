//! The effect, the key and the message are there once, whatever comes twice and wherever the process dies.

#![allow(clippy::unwrap_used, reason = "a test says by a panic what is wrong")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brighter::channel::{Broker, Channel};
use brighter::prelude::*;
use brighter::{Dispatcher, MessageId};
use exactly_once::{Transfer, bank, cents};

static FAILED: AtomicUsize = AtomicUsize::new(0);

/// Fails three times of four: then everything that was done is rolled back.
fn fails_often(_: &Transfer) -> Result<(), BoxError> {
    if FAILED.fetch_add(1, Ordering::Relaxed) % 4 == 3 {
        return Ok(());
    }
    Err("the power failed before the commit".into())
}

fn transfer() -> Transfer {
    Transfer {
        id: MessageId::new(),
        from: "ann".into(),
        to: "bob".into(),
        cents: 1,
    }
}

#[tokio::test]
async fn each_transfer_has_one_effect_and_one_message() {
    let folder = tempfile::tempdir().unwrap();
    let broker = InMemoryBroker::new();
    broker
        .declare(&Channel::new("transferred", "Bank.Transferred"))
        .await
        .unwrap();
    let (processor, pool) = bank(&folder.path().join("bank.db"), broker.clone(), fails_often)
        .await
        .unwrap();
    let transfers = Subscription::<Transfer>::new("transfers")
        .concurrency(5)
        .attempts(50)
        .delays([Duration::from_millis(5)]);
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(transfers)
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;

    for _ in 0..20 {
        let transfer = transfer();
        processor.post(transfer.clone()).await.unwrap();
        for _ in 0..3 {
            processor.outbox().repost(&transfer.id).await.unwrap();
        }
    }
    let sent = || broker.messages("transferred").len();
    let waiting = Channel::new("transfers", "Bank.Transfer");
    let all = async {
        while sent() < 20 || broker.depth(&waiting).await.unwrap() != Some(0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
    // What is in hand comes to its end.
    dispatcher.end().await;
    assert_eq!(cents(&pool, "ann").await.unwrap(), 980);
    assert_eq!(cents(&pool, "bob").await.unwrap(), 1020);
    let mut ids: Vec<_> = broker
        .messages("transferred")
        .iter()
        .map(|message| message.header.id.clone())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20, "one message for each transfer");
    processor.close().await;
}
