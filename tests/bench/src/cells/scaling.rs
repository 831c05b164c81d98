//! Whether a message costs the same however many there are: a large run against a small one of the same kind, so that
//! the ratio is what growth costs.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Result;
use brighter::channel::{Broker, Channel, Producer};
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::prelude::*;
use brighter::{CommandProcessor, Dispatcher, Message as BrighterMessage, MessageId};

use super::pump::{Counts, Order, Tally, drained, runtime};
use crate::measure::{Sample, Stopwatch};

/// A million messages in a channel.
pub(crate) fn a_million() -> Result<Sample> {
    runtime()?.block_on(drained(1_000_000, None))
}

/// A thousand of them, again and again.
pub(crate) fn a_thousand() -> Result<Sample> {
    const RUNS: u32 = 50;
    runtime()?.block_on(async {
        let (mut seconds, mut cpu) = (0.0, 0.0);
        for _ in 0..RUNS {
            let sample = drained(1_000, None).await?;
            seconds += 1.0 / sample.value;
            cpu += sample.cpu_micros;
        }
        Ok(Sample {
            value: f64::from(RUNS) / seconds,
            operations: u64::from(RUNS) * 1_000,
            cpu_micros: cpu / f64::from(RUNS),
            allocations: None,
            second: None,
        })
    })
}

/// Messages to the last of so many subscriptions, each with a topic and a channel of its own.
fn through_one_of(subscriptions: usize) -> Result<Sample> {
    const MESSAGES: u32 = 100_000;
    runtime()?.block_on(async {
        let broker = InMemoryBroker::new();
        let tally = Tally::of(MESSAGES);
        let processor = CommandProcessor::builder()
            .handler(Counts(Arc::clone(&tally)))
            .broker(broker.clone())
            .build()?;
        let mut builder = Dispatcher::builder(processor);
        for number in 1..=subscriptions {
            let name = format!("orders-{number}");
            broker
                .declare(&Channel::new(name.as_str(), format!("Orders.{number}")))
                .await?;
            let subscription =
                Subscription::<Order>::new(name.as_str()).routing_key(format!("Orders.{number}"));
            builder = builder.subscription(subscription.buffer(200));
        }
        let dispatcher = builder.build()?;
        dispatcher.receive();
        dispatcher.wait_until_consuming().await;
        let topic = format!("Orders.{subscriptions}");
        let messages: Vec<_> = (0..MESSAGES)
            .map(|number| {
                let header = MessageHeader::new(MessageId::new(), topic.as_str(), MessageType::Command);
                let body = serde_json::to_vec(&Order::new(number))?;
                Ok(BrighterMessage::new(header, MessageBody::new(body)))
            })
            .collect::<Result<_>>()?;
        let watch = Stopwatch::start()?;
        for message in &messages {
            broker.publish(message).await?;
        }
        tally.complete().await?;
        let sample = watch.per_second(MESSAGES.into());
        dispatcher.end().await;
        sample
    })
}

pub(crate) fn through_one_of_a_thousand() -> Result<Sample> {
    through_one_of(1_000)
}

pub(crate) fn through_the_only_one() -> Result<Sample> {
    through_one_of(1)
}

#[derive(Debug, Event)]
struct Happened;

struct Hears;

#[handler]
impl Handler<Happened> for Hears {
    async fn handle(&self, _: &Happened) -> Result<(), Infallible> {
        Ok(())
    }
}

/// How often in a second one of so many handlers hears of an event.
fn heard_by(handlers: u32) -> Result<Sample> {
    const HEARD: u32 = 3_000_000;
    runtime()?.block_on(async {
        let builder = (0..handlers).fold(CommandProcessor::builder(), |builder, _| builder.handler(Hears));
        let processor = builder.build()?;
        let watch = Stopwatch::start()?;
        for _ in 0..HEARD / handlers {
            processor.publish(Happened).await?;
        }
        watch.per_second(HEARD.into())
    })
}

pub(crate) fn heard_by_a_hundred() -> Result<Sample> {
    heard_by(100)
}

/// Two, not one: a single handler needs nothing of what brings an event to several.
pub(crate) fn heard_by_two() -> Result<Sample> {
    heard_by(2)
}
