//! hexeract: a worker of a queue, and a transport with a pool of channels.

use std::sync::Arc;

use anyhow::Result;
use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use hexeract_bus::{BusError, Handler, Message, Transport};
use hexeract_bus_rabbitmq::{RabbitMqConnection, RabbitMqTransport, RabbitMqWorkerBuilder};
use hexeract_core::HandlerContext;
use lapin::BasicProperties;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::Cell;
use crate::queue::{self, Queue, url};
use crate::sample::{CONSUMED, Order, PREFETCH, PUBLISHED, Sample, Stopwatch, Tally, WINDOW};

/// What its worker declares beside the queue.
const RETRIES: &str = ".retry";

pub(crate) const CELLS: [Cell; 2] = [
    Cell {
        peer: "hexeract",
        name: "consume",
        durability: "durable queue, acked each after the handler, one at a time",
        note: "drops a message whose handler has failed in all five attempts, and one that has no handler, unless a \
               dead-letter queue is named",
        run: Some(consume),
    },
    Cell {
        peer: "hexeract",
        name: "publish",
        durability: "durable queue, persistent, mandatory, confirmed each, 256 channels",
        note: "loses none that it says was published; one in flight at a time on each channel",
        run: Some(publish),
    },
];

impl Message for Order {
    const MESSAGE_TYPE: &'static str = "bench.order";
}

struct Counts(Arc<Tally>);

impl Handler<Order> for Counts {
    type Error = BusError;

    async fn handle(&self, order: Order, _: &HandlerContext) -> Result<(), BusError> {
        self.0.count(order.number);
        Ok(())
    }
}

fn form(order: Order) -> Result<(BasicProperties, Vec<u8>)> {
    let id = Uuid::now_v7().to_string();
    let properties = BasicProperties::default()
        .with_message_id(id.as_str().into())
        .with_correlation_id(id.into())
        .with_content_type("application/json".into())
        .with_type(Order::MESSAGE_TYPE.into());
    Ok((properties, serde_json::to_vec(&order)?))
}

fn consume() -> Result<Sample> {
    queue::consume(form, &[RETRIES], async |queue, tally| {
        let worker = RabbitMqWorkerBuilder::new(RabbitMqConnection::connect(&url()?).await?)
            .queue(queue.name.as_str())
            .prefetch(PREFETCH)
            .register_handler::<Order, _>(Counts(Arc::clone(tally)))
            .build()?;
        let cancel = CancellationToken::new();
        let watch = Stopwatch::start()?;
        let running = tokio::spawn(worker.run(cancel.clone()));
        tally.complete().await?;
        let sample = watch.per_second(CONSUMED);
        Queue::settle().await;
        cancel.cancel();
        running.await??;
        sample
    })
}

fn publish() -> Result<Sample> {
    queue::publish(async |queue| {
        let connection = RabbitMqConnection::connect(&url()?).await?;
        let transport = RabbitMqTransport::from_connection(connection, WINDOW);
        // All its channels are open before the time runs.
        drop(try_join_all((0..WINDOW).map(|_| transport.pool().acquire())).await?);
        let orders = Order::published();
        let watch = Stopwatch::start()?;
        stream::iter(&orders)
            .map(|order| transport.publish(&queue.name, order))
            .buffer_unordered(WINDOW)
            .try_for_each(|_| async { Ok(()) })
            .await?;
        let sample = watch.per_second(PUBLISHED);
        drop(transport);
        sample
    })
}
