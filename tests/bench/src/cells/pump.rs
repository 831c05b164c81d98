//! From the in-memory broker through the pump to a handler.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use anyhow::{Result, bail};
use brighter::channel::{Broker, Channel, Producer};
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::prelude::*;
use brighter::{CommandProcessor, Dispatcher, Message as BrighterMessage, MessageId};
use tokio::sync::Notify;

use crate::measure::{self, Counter, Sample, Stopwatch};

const MESSAGES: u32 = 200_000;
const COUNTED: u32 = 2_000;
const PERFORMERS: usize = 2;
const POSTERS: u32 = 2;
pub(super) const CHANNEL: &str = "orders";
const TOPIC: &str = "Bench.Order";

/// A kilobyte, as JSON.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "Bench.Order")]
pub(crate) struct Order {
    number: u32,
    text: String,
}

impl Order {
    pub(crate) fn new(number: u32) -> Self {
        Self {
            number,
            text: "x".repeat(980),
        }
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// Whether every order was handled, and none twice.
pub(crate) struct Tally {
    seen: Vec<AtomicU8>,
    left: AtomicU32,
    done: Notify,
}

impl Tally {
    pub(crate) fn of(orders: u32) -> Arc<Self> {
        Arc::new(Self {
            seen: (0..orders).map(|_| AtomicU8::new(0)).collect(),
            left: AtomicU32::new(orders),
            done: Notify::new(),
        })
    }

    /// Waits until all were handled; an error if one was more than once.
    pub(crate) async fn complete(&self) -> Result<()> {
        self.done.notified().await;
        let times = |wanted: fn(u8) -> bool| {
            let seen = self.seen.iter().map(|seen| seen.load(Ordering::Relaxed));
            seen.filter(|seen| wanted(*seen)).count()
        };
        let (lost, twice) = (times(|seen| seen == 0), times(|seen| seen > 1));
        if lost > 0 || twice > 0 {
            bail!("{lost} orders were not handled, {twice} more than once");
        }
        Ok(())
    }
}

pub(crate) struct Counts(pub(crate) Arc<Tally>);

#[handler]
impl Handler<Order> for Counts {
    async fn handle(&self, order: &Order) -> Result<(), Infallible> {
        if let Some(seen) = self.0.seen.get(order.number as usize) {
            seen.fetch_add(1, Ordering::Relaxed);
        }
        if self.0.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.done.notify_one();
        }
        Ok(())
    }
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?)
}

fn dispatcher(broker: InMemoryBroker, tally: &Arc<Tally>) -> Result<Dispatcher> {
    let processor = CommandProcessor::builder()
        .handler(Counts(Arc::clone(tally)))
        .broker(broker)
        .outbox(InMemoryOutbox::new())
        .build()?;
    Ok(Dispatcher::builder(processor)
        .subscription(
            Subscription::<Order>::new(CHANNEL)
                .performers(PERFORMERS)
                .buffer(200),
        )
        .build()?)
}

/// Post → outbox → broker → pump → handler → ack, all of it at once.
pub(crate) fn post_to_ack() -> Result<Sample> {
    let mut sample = runtime()?.block_on(post(MESSAGES))?;
    sample.allocations = Some(measure::allocations("in-memory")?);
    Ok(sample)
}

async fn post(messages: u32) -> Result<Sample> {
    let tally = Tally::of(messages);
    let dispatcher = dispatcher(InMemoryBroker::new(), &tally)?;
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    let watch = Stopwatch::start()?;
    let posters: Vec<_> = (0..POSTERS)
        .map(|poster| {
            let processor = dispatcher.processor().clone();
            tokio::spawn(async move {
                for number in (poster..messages).step_by(POSTERS as usize) {
                    processor.post(Order::new(number)).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for poster in posters {
        poster.await??;
    }
    tally.complete().await?;
    let sample = watch.per_second(messages.into());
    dispatcher.end().await;
    sample
}

/// A full channel → pump → handler → ack.
pub(crate) fn drain() -> Result<Sample> {
    let mut sample = runtime()?.block_on(drained(MESSAGES, None))?;
    sample.allocations = Some(measure::allocations("in-memory-pump")?);
    Ok(sample)
}

pub(crate) async fn drained(messages: u32, broker: Option<InMemoryBroker>) -> Result<Sample> {
    let broker = match broker {
        Some(broker) => broker,
        None => filled(messages).await?,
    };
    let tally = Tally::of(messages);
    let dispatcher = dispatcher(broker, &tally)?;
    let watch = Stopwatch::start()?;
    dispatcher.receive();
    tally.complete().await?;
    let sample = watch.per_second(messages.into());
    dispatcher.end().await;
    sample
}

pub(super) async fn filled(messages: u32) -> Result<InMemoryBroker> {
    let broker = InMemoryBroker::new();
    broker.declare(&Channel::new(CHANNEL, TOPIC)).await?;
    for number in 0..messages {
        let header = MessageHeader::new(MessageId::new(), TOPIC, MessageType::Command);
        let body = MessageBody::new(serde_json::to_vec(&Order::new(number))?);
        broker.publish(&BrighterMessage::new(header, body)).await?;
    }
    Ok(broker)
}

/// A runtime of one thread, which is all that is counted.
pub(super) fn alone() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}

pub(super) fn allocations_of_post(count: Counter) -> Result<f64> {
    allocations(count, || post(COUNTED))
}

pub(super) fn allocations_of_drain(count: Counter) -> Result<f64> {
    let broker = alone()?.block_on(filled(COUNTED))?;
    allocations(count, || drained(COUNTED, Some(broker.clone())))
}

fn allocations<F: Future<Output = Result<Sample>>>(count: Counter, work: impl Fn() -> F) -> Result<f64> {
    let runtime = alone()?;
    let mut result = None;
    let allocations = count(&mut || result = Some(runtime.block_on(work())));
    result.transpose()?;
    Ok(allocations as f64 / f64::from(COUNTED))
}
