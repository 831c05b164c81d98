//! Asks for one transfer five times, and shows that the money moves once.

use std::time::Duration;

use brighter::channel::{Broker, Channel};
use brighter::prelude::*;
use brighter::{Dispatcher, MessageId};
use exactly_once::{Transfer, bank, cents};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let path = std::env::temp_dir().join(format!("bank-{}.db", MessageId::new()));
    let broker = InMemoryBroker::new();
    broker
        .declare(&Channel::new("transferred", "Bank.Transferred"))
        .await?;
    let (processor, pool) = bank(&path, broker.clone(), |_| Ok(())).await?;
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(Subscription::<Transfer>::new("transfers").concurrency(5))
        .build()?;
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;

    let transfer = Transfer {
        id: MessageId::new(),
        from: "ann".into(),
        to: "bob".into(),
        cents: 250,
    };
    processor.post(transfer.clone()).await?;
    for _ in 0..4 {
        // As a broker does that has lost an acknowledgement.
        processor.outbox().repost(&transfer.id).await?;
    }
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while cents(&pool, "bob").await? == 1000 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok::<_, sqlx::Error>(())
    });
    waited.await??;
    dispatcher.end().await;
    println!("asked five times for 250 cents");
    println!("ann has {} of 1000", cents(&pool, "ann").await?);
    println!("bob has {} of 1000", cents(&pool, "bob").await?);
    processor.close().await;
    pool.close().await;
    std::fs::remove_file(&path)?;
    Ok(())
}
