//! A consumer in a process of its own that handles batches, to be killed: a call is one transaction, in which each row has
//! its effect together with its key in the inbox. See `brighter_faults::batches`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::time::Duration;

use brighter::channel::QueueType;
use brighter::inbox::complete_in;
use brighter::prelude::*;
use brighter::transport::rabbitmq::ExchangeKind;
use brighter::{RabbitMq, SqliteInbox};
use brighter_faults::batches::Row;
use brighter_faults::consumer::Orders;

struct Bookkeeper(sqlx::SqlitePool);

#[handler(batch(max = 100, within = "20ms"))]
impl Handler<Row> for Bookkeeper {
    // Short, for who takes over waits until it has ended.
    #[use_inbox(lease = "5s", step = 1)]
    async fn handle(&self, batch: Batch<'_, Row>) -> Result<(), BoxError> {
        let mut tx = self.0.begin_with("BEGIN IMMEDIATE").await?;
        for (row, cx) in batch.with_contexts() {
            if row.is_poison() {
                return Err("poison".into());
            }
            let number = i64::try_from(row.number)?;
            sqlx::query("INSERT INTO effects (number, of) VALUES (?, ?)")
                .bind(number)
                .bind(i64::try_from(batch.len())?)
                .execute(&mut *tx)
                .await?;
            complete_in(&mut tx, cx).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> host::Exit {
    let orders = brighter_faults::process::orders::<Orders>();
    let broker = RabbitMq::builder(&orders.url)
        .exchange(orders.exchange.as_str(), ExchangeKind::Topic)
        .connection_name(orders.name.as_str())
        .heartbeat_interval(Duration::from_secs(1))
        .connect()
        .await
        .expect("the node answers");
    let inbox = SqliteInbox::open(orders.books.expect("books"))
        .await
        .expect("the books can be opened");
    let subscription = Subscription::<Row>::new(orders.queue.as_str())
        .routing_key(orders.topic.as_str())
        .concurrency(100)
        .buffer(orders.buffer)
        .attempts(2)
        .delays([Duration::from_millis(100)])
        // Every kill counts for all that the process had.
        .redeliveries(orders.redeliveries)
        .queue_type(QueueType::Quorum);
    let processor = CommandProcessor::builder()
        .handler(Bookkeeper(inbox.pool().clone()))
        .inbox(inbox)
        .broker(broker)
        .outbox(InMemoryOutbox::new())
        .build()
        .expect("the processor is put together well");
    let dispatcher = Dispatcher::builder(processor)
        .subscription(subscription)
        .build()
        .expect("the dispatcher is put together well");
    host::run(dispatcher).await.into()
}
