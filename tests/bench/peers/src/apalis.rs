//! apalis with its backend for AMQP: a worker, and pushes in bulk.

use std::pin::Pin;
use std::sync::Arc;

use anyhow::Result;
use apalis::prelude::*;
use apalis_amqp::{AmqpBackend, AmqpTask, Config};
use futures_util::Sink;
use lapin::BasicProperties;

use crate::Cell;
use crate::queue::{self, Queue, url};
use crate::sample::{CONSUMED, Order, PREFETCH, PUBLISHED, Sample, Stopwatch, WINDOW};

pub(crate) const CELLS: [Cell; 2] = [
    Cell {
        peer: "apalis-amqp",
        name: "consume",
        durability: "durable queue, acked each after the handler, up to 200 at once",
        note: "loses a message whose handler fails: it is nacked without a requeue, unless its options say so or \
               the queue has a dead-letter exchange; a worker panics if nothing was pushed through its backend before",
        run: Some(consume),
    },
    Cell {
        peer: "apalis-amqp",
        name: "publish",
        durability: "durable queue, neither persistent nor mandatory nor confirmed, 256 in one push",
        note: "loses what waits when the broker restarts, and what the broker did not take; opens a channel and \
               declares the queue anew for each message, and does not use the publish options of its configuration",
        run: Some(publish),
    },
];

fn form(order: Order) -> Result<(BasicProperties, Vec<u8>)> {
    Ok((BasicProperties::default(), serde_json::to_vec(&order)?))
}

fn backend(queue: &Queue) -> Result<AmqpBackend<Order>> {
    let config = Config::default()
        .queue(queue.name.as_str())
        .prefetch_count(PREFETCH);
    Ok(AmqpBackend::new_from_addr(url()?)?.with_config(config))
}

fn consume() -> Result<Sample> {
    queue::consume(form, &[], async |queue, tally| {
        let mut backend = backend(queue)?;
        // A worker wants a backend that has a channel already, as after a push.
        std::future::poll_fn(|cx| Sink::<AmqpTask>::poll_ready(Pin::new(&mut backend), cx)).await?;
        let counting = Arc::clone(tally);
        let worker = WorkerBuilder::new("bench")
            .backend(backend)
            .build(move |order: Order| {
                counting.count(order.number);
                std::future::ready(())
            });
        let watch = Stopwatch::start()?;
        let running = tokio::spawn(worker.run());
        tally.complete().await?;
        let sample = watch.per_second(CONSUMED);
        Queue::settle().await;
        running.abort();
        drop(running.await);
        sample
    })
}

fn publish() -> Result<Sample> {
    queue::publish(async |queue| {
        let mut backend = backend(queue)?;
        std::future::poll_fn(|cx| Sink::<AmqpTask>::poll_ready(Pin::new(&mut backend), cx)).await?;
        let orders: Vec<_> = Order::published().chunks(WINDOW).map(<[_]>::to_vec).collect();
        let watch = Stopwatch::start()?;
        for some in orders {
            backend.push_bulk(some).await?;
        }
        let sample = watch.per_second(PUBLISHED);
        Queue::settle().await;
        drop(backend);
        sample
    })
}
