//! Rows in PostgreSQL: a transaction for a batch of a hundred messages, against one for each message.

use std::sync::Arc;

use anyhow::{Result, ensure};
use brighter::pipeline::HandlerPipeline;
use brighter::prelude::*;
use brighter::{CommandProcessor, Dispatcher};
use sqlx::{PgPool, Postgres};

use super::outbox::stores::Store;
use super::pump::{self, Counts, Order, Tally, runtime};
use super::{Better, Cell, Compared, Figure, Service, Twin};
use crate::measure::{Sample, Stopwatch};

const MESSAGES: u32 = 20_000;

pub(super) const BATCH_POSTGRES: Cell = Cell {
    name: "batch-postgres",
    summary: "PostgreSQL: in-memory broker → pump → handler of batches, 100 rows by one INSERT in one transaction → acks, 1 KB of JSON; against a handler of single messages, an INSERT in a transaction each",
    unit: "messages/s",
    better: Better::Higher,
    figure: Figure::Value,
    also: &[],
    compared: Compared::Ratio,
    durability: "as the server says: xtask's own has fsync = off; acked after the commit",
    must: 5.0,
    reach: 10.0,
    needs: &[Service::Postgres],
    ours: batches,
    twin: Some(Twin {
        name: "brighter, one by one",
        run: one_by_one,
    }),
};

struct InBatches(PgPool, Counts);

#[handler(batch(max = 100, within = "50ms"))]
impl Handler<Order> for InBatches {
    async fn handle(&self, batch: Batch<'_, Order>, cx: &Context) -> Result<(), BoxError> {
        let numbers: Vec<i32> = batch.iter().map(number).collect::<Result<_, _>>()?;
        let texts: Vec<&str> = batch.iter().map(Order::text).collect();
        let mut tx = self.0.begin().await?;
        sqlx::query("INSERT INTO orders (number, text) SELECT * FROM UNNEST($1::int[], $2::text[])")
            .bind(numbers)
            .bind(texts)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        for order in &batch {
            self.1.handle(order, cx).await?;
        }
        Ok(())
    }
}

struct OneByOne(PgPool, Counts);

#[handler]
impl Handler<Order> for OneByOne {
    async fn handle(&self, order: &Order, cx: &Context) -> Result<(), BoxError> {
        let mut tx = self.0.begin().await?;
        sqlx::query("INSERT INTO orders (number, text) VALUES ($1, $2)")
            .bind(number(order)?)
            .bind(order.text())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        self.1.handle(order, cx).await?;
        Ok(())
    }
}

fn number(order: &Order) -> Result<i32, std::num::TryFromIntError> {
    i32::try_from(order.number())
}

fn batches() -> Result<Sample> {
    runtime()?.block_on(stored(InBatches))
}

fn one_by_one() -> Result<Sample> {
    runtime()?.block_on(stored(OneByOne))
}

/// A full channel → pump → handler → a row each → ack.
async fn stored<H: HandlerPipeline<Order>>(handler: fn(PgPool, Counts) -> H) -> Result<Sample> {
    let (place, pool) = Postgres::make().await?;
    sqlx::raw_sql("CREATE TABLE orders (number int NOT NULL, text text NOT NULL)")
        .execute(&pool)
        .await?;
    let tally = Tally::of(MESSAGES);
    let processor = CommandProcessor::builder()
        .handler(handler(pool.clone(), Counts(Arc::clone(&tally))))
        .broker(pump::filled(MESSAGES).await?)
        .outbox(InMemoryOutbox::new())
        .build()?;
    let orders = Subscription::<Order>::new(pump::CHANNEL)
        .concurrency(100)
        .buffer(200);
    let dispatcher = Dispatcher::builder(processor).subscription(orders).build()?;
    let watch = Stopwatch::start()?;
    dispatcher.receive();
    tally.complete().await?;
    let sample = watch.per_second(MESSAGES.into());
    dispatcher.end().await;
    let rows: i64 = sqlx::query_scalar("SELECT count(DISTINCT number) FROM orders")
        .fetch_one(&pool)
        .await?;
    ensure!(rows == i64::from(MESSAGES), "{rows} rows were stored");
    Postgres::remove(place, pool).await?;
    sample
}
