//! ruststream with its broker for lapin: a service with one subscriber, and a publisher that awaits confirms.

use std::future::ready;
use std::sync::Arc;

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use lapin::BasicProperties;
use ruststream::nonzero;
use ruststream_lapin::prelude::*;

use crate::Cell;
use crate::queue::{self, Queue, url};
use crate::sample::{CONSUMED, Order, PUBLISHED, Sample, Stopwatch, Tally, WINDOW};

pub(crate) const CELLS: [Cell; 2] = [
    Cell {
        peer: "ruststream-lapin",
        name: "consume",
        durability: "durable queue, acked each after the handler, one at a time",
        note: "drops a message that it cannot decode, and one whose handler says `drop`, unless the queue has a \
               dead-letter exchange; a retry without a delay comes back at once and without end",
        run: Some(consume),
    },
    Cell {
        peer: "ruststream-lapin",
        name: "publish",
        durability: "durable queue, persistent, confirmed each, 256 in flight",
        note: "loses a message that no queue takes: it is not mandatory, and a confirm says nothing of that; its \
               other publisher awaits no confirm at all",
        run: Some(publish),
    },
];

struct Counts(Arc<Tally>);

impl Handle<Order> for Counts {
    fn handle(
        &self,
        order: &Order,
        _: &(),
        _: &mut Context<'_>,
    ) -> impl Future<Output = Result<(), HandlerOutcome>> {
        self.0.count(order.number);
        ready(Ok(()))
    }
}

fn form(order: Order) -> Result<(BasicProperties, Vec<u8>)> {
    let properties = BasicProperties::default().with_content_type("application/json".into());
    Ok((properties, serde_json::to_vec(&order)?))
}

fn consume() -> Result<Sample> {
    queue::consume(form, &[], async |queue, tally| {
        let broker = LapinBroker::new(url()?).prefetch(nonzero!(200));
        let source = RabbitQueue::new(queue.name.clone()).durable(true);
        let counts = Counts(Arc::clone(tally));
        let app = RustStream::new(AppInfo::new("bench", "0.0.0")).with_broker(broker, |broker| {
            broker.include(subscriber(source, counts).build());
        });
        let watch = Stopwatch::start()?;
        let running = app.start().await?;
        tally.complete().await?;
        let sample = watch.per_second(CONSUMED);
        Queue::settle().await;
        running.shutdown().await?;
        sample
    })
}

fn publish() -> Result<Sample> {
    queue::publish(async |queue| {
        let broker = LapinBroker::new(url()?).connect().await?;
        let publisher = broker.publisher(ConfirmsPublish::default());
        let orders = Order::published();
        let watch = Stopwatch::start()?;
        stream::iter(&orders)
            .map(|order| publisher.message(order).to(queue.name.as_str()).publish())
            .buffer_unordered(WINDOW)
            .try_for_each(|_| async { Ok(()) })
            .await?;
        let sample = watch.per_second(PUBLISHED);
        drop(broker);
        sample
    })
}
