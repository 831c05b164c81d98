//! celery: an application with one task.

// What its attribute makes of a task is an `impl` in a constant.
#![allow(non_local_definitions)]

use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result, bail};
use celery::prelude::*;
use celery::{Celery, CeleryBuilder};
use futures_util::{StreamExt, TryStreamExt, stream};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use uuid::Uuid;

use crate::Cell;
use crate::queue::{self, Queue, url};
use crate::sample::{CONSUMED, Order, PREFETCH, PUBLISHED, Sample, Stopwatch, Tally, WINDOW};

pub(crate) const CELLS: [Cell; 2] = [
    Cell {
        peer: "celery",
        name: "consume",
        durability: "durable queue, acked each before the handler, as many at once as come",
        note: "loses in a crash what it has not handled yet, as it acknowledges before it handles; puts a message whose handler \
               failed back with an unconfirmed publish; acks and drops one that it cannot read or has no task for",
        run: Some(consume),
    },
    Cell {
        peer: "celery",
        name: "publish",
        durability: "durable queue, persistent, neither mandatory nor confirmed, 256 at once",
        note: "loses what the broker did not take: no confirm is awaited, and nothing tells of a message that no queue \
               takes",
        run: Some(publish),
    },
];

/// A task is a function, so what counts stands where a function can find it.
static TALLY: OnceLock<Arc<Tally>> = OnceLock::new();

#[celery::task(name = "bench.order")]
fn handle(number: u32, text: String) -> TaskResult<()> {
    drop(text);
    if let Some(tally) = TALLY.get() {
        tally.count(number);
    }
    Ok(())
}

fn form(order: Order) -> Result<(BasicProperties, Vec<u8>)> {
    let id = Uuid::now_v7().to_string();
    let mut headers = FieldTable::default();
    for (name, value) in [("id", id.as_str()), ("task", "bench.order"), ("lang", "rust")] {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    let properties = BasicProperties::default()
        .with_correlation_id(id.into())
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_headers(headers);
    let embedded = serde_json::json!({"callbacks": null, "errbacks": null, "chain": null, "chord": null});
    let arguments: [(); 0] = [];
    Ok((properties, serde_json::to_vec(&(arguments, order, embedded))?))
}

async fn app(queue: &Queue) -> Result<Arc<Celery>> {
    let app = CeleryBuilder::new("bench", &url()?)
        .default_queue(&queue.name)
        .prefetch_count(PREFETCH)
        .build()
        .await?;
    app.register_task::<handle>().await?;
    Ok(Arc::new(app))
}

fn consume() -> Result<Sample> {
    queue::consume(form, &[], async |queue, tally| {
        TALLY.set(Arc::clone(tally)).ok().context("a second sample")?;
        let app = app(queue).await?;
        let watch = Stopwatch::start()?;
        // What consumes cannot be sent to another thread, so it stays on this one.
        let sample = tokio::select! {
            ended = app.consume() => bail!("it consumes no more: {ended:?}"),
            done = async {
                tally.complete().await?;
                let sample = watch.per_second(CONSUMED);
                Queue::settle().await;
                sample
            } => done,
        };
        app.close().await?;
        sample
    })
}

fn publish() -> Result<Sample> {
    queue::publish(async |queue| {
        let app = app(queue).await?;
        let orders = Order::published();
        let watch = Stopwatch::start()?;
        stream::iter(orders)
            .map(|order| app.send_task(handle::new(order.number, order.text)))
            .buffer_unordered(WINDOW)
            .try_for_each(|_| async { Ok(()) })
            .await?;
        let sample = watch.per_second(PUBLISHED);
        Queue::settle().await;
        app.close().await?;
        sample
    })
}
