//! How long a message takes from when it was due to its handler, at a fixed rate whatever becomes of those before it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use brighter::channel::Producer;
use brighter::prelude::*;
use futures_util::StreamExt;
use lapin::BasicProperties;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, ConfirmSelectOptions};
use lapin::types::FieldTable;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use super::publish::confirmed;
use super::pump::{Order, runtime};
use super::rabbit::{self, PREFETCH, Place};
use crate::measure::{Sample, Stopwatch};

const MESSAGES: u32 = 4_000;
/// So many go first and do not count.
const WARM: u32 = 500;
const EACH: Duration = Duration::from_millis(1);
/// A broker that has stopped is told rather than waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// When each message was due, and how long after that it came.
struct Times {
    first: Instant,
    /// In nanoseconds; 0 of what has not come.
    took: Vec<AtomicU64>,
    left: AtomicU64,
    done: Notify,
}

impl Times {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            first: Instant::now() + 50 * EACH,
            took: (0..MESSAGES).map(|_| AtomicU64::new(0)).collect(),
            left: AtomicU64::new(MESSAGES.into()),
            done: Notify::new(),
        })
    }

    fn due(&self, number: u32) -> Instant {
        self.first + EACH * number
    }

    fn came(&self, number: u32) {
        let took = u64::try_from(self.due(number).elapsed().as_nanos()).unwrap_or(u64::MAX);
        let Some(slot) = self.took.get(number as usize) else {
            return;
        };
        // A second coming of it changes nothing.
        if slot.swap(took.max(1), Ordering::Relaxed) == 0 && self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_one();
        }
    }

    /// Has each sent when it is due, from a thread that has nothing else to do.
    fn send<F>(self: &Arc<Self>, send: impl Fn(u32) -> F + Send + 'static)
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let (times, runtime) = (Arc::clone(self), Handle::current());
        thread::spawn(move || {
            for number in 0..MESSAGES {
                thread::sleep(times.due(number).saturating_duration_since(Instant::now()));
                runtime.spawn(send(number));
            }
        });
    }

    async fn sample(&self, watch: &Stopwatch) -> Result<Sample> {
        tokio::time::timeout(PATIENCE, self.done.notified())
            .await
            .context("not every message came")?;
        let counted = self.took.iter().skip(WARM as usize);
        let mut took: Vec<u64> = counted.map(|took| took.load(Ordering::Relaxed)).collect();
        took.sort_unstable();
        let micros = |hundredths: usize| took[(took.len() - 1) * hundredths / 100] as f64 / 1e3;
        let mut sample = watch.of(MESSAGES.into(), micros(50))?;
        sample.second = Some(micros(99));
        Ok(sample)
    }
}

struct Notes(Arc<Times>);

#[handler]
impl Handler<Order> for Notes {
    async fn handle(&self, order: &Order) -> Result<(), Infallible> {
        self.0.came(order.number());
        Ok(())
    }
}

pub(crate) fn ours() -> Result<Sample> {
    runtime()?.block_on(async {
        let place = Place::make(0).await?;
        let times = Times::new();
        let handler = Notes(Arc::clone(&times));
        let dispatcher = rabbit::dispatcher(place.broker.clone(), place.channel.name.as_str(), handler)?;
        dispatcher.receive();
        dispatcher.wait_until_consuming().await;
        let watch = Stopwatch::start()?;
        let broker = place.broker.clone();
        times.send(move |number| {
            let broker = broker.clone();
            async move { Ok(broker.publish(&rabbit::message(number)?).await?) }
        });
        let sample = times.sample(&watch).await;
        dispatcher.end().await;
        place.remove(0).await?;
        sample
    })
}

pub(crate) fn raw() -> Result<Sample> {
    runtime()?.block_on(async {
        let place = Place::make(0).await?;
        // As brighter has it: one connection to publish and one to consume.
        let (producer, consumer) = (rabbit::raw().await?, rabbit::raw().await?);
        let publishing = producer.create_channel().await?;
        publishing.confirm_select(ConfirmSelectOptions::default()).await?;
        let consuming = consumer.create_channel().await?;
        consuming.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let (queue, options) = (place.channel.name.as_str(), BasicConsumeOptions::default());
        let mut deliveries = consuming
            .basic_consume(queue.into(), "".into(), options, FieldTable::default())
            .await?;
        let times = Times::new();
        let handling = tokio::spawn({
            let times = Arc::clone(&times);
            async move {
                for _ in 0..MESSAGES {
                    let delivery = deliveries.next().await.context("the consumer ended")??;
                    let order: Order = serde_json::from_slice(&delivery.data)?;
                    times.came(order.number());
                    delivery.acker.ack(BasicAckOptions::default()).await?;
                }
                anyhow::Ok(())
            }
        });
        let watch = Stopwatch::start()?;
        let exchange = place.exchange.clone();
        // The channel itself stays here: were the last of its clones dropped just when its connection is closed, that
        // would fail over a channel that is closing already.
        let channel = publishing.clone();
        times.send(move |number| {
            let (amqp, exchange) = (channel.clone(), exchange.clone());
            async move {
                let message = rabbit::message(number)?;
                confirmed(
                    &amqp,
                    &exchange,
                    BasicProperties::default(),
                    message.body.as_bytes(),
                )
                .await
            }
        });
        let sample = times.sample(&watch).await;
        handling.await??;
        for connection in [producer, consumer] {
            connection.close(200, "done".into()).await?;
        }
        ensure!(place.remove(0).await.is_ok(), "messages were left");
        sample
    })
}
