//! From a full queue of RabbitMQ through the pump to a handler, and the same with lapin alone.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use brighter::channel::{Broker, Channel, Producer};
use brighter::mapper::{JsonMapper, MessageMapper};
use brighter::message::{MessageHeader, MessageType};
use brighter::prelude::*;
use brighter::{CommandProcessor, Dispatcher, Message as BrighterMessage, MessageId};
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, ExchangeDeleteOptions, QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};

use super::pump::{Counts, Order, Tally, runtime};
use crate::measure::{Sample, Stopwatch};

const MESSAGES: u32 = 30_000;
const PREFETCH: u16 = 200;
const TOPIC: &str = "Bench.Order";

/// A queue of its own, filled.
struct Full {
    broker: RabbitMq,
    channel: Channel,
    exchange: String,
}

fn url() -> Result<String> {
    std::env::var("BRIGHTER_TEST_RABBITMQ_URL").context("BRIGHTER_TEST_RABBITMQ_URL is not set")
}

impl Full {
    async fn make() -> Result<Self> {
        let id = MessageId::new();
        let exchange = format!("bench-{id}");
        let broker = RabbitMq::builder(&url()?)
            .exchange(&exchange, brighter::transport::rabbitmq::ExchangeKind::Direct)
            .connect()
            .await?;
        let channel = Channel::new(format!("bench-{id}.orders"), TOPIC);
        drop(broker.consume(&channel).await?);
        let orders: Vec<_> = (0..MESSAGES).map(message).collect::<Result<_>>()?;
        for some in orders.chunks(1000) {
            for published in broker.publish_all(some.iter().collect()).await {
                published?;
            }
        }
        let full = Self {
            broker,
            channel,
            exchange,
        };
        let depth = full.broker.depth(&full.channel).await?;
        if depth != Some(MESSAGES.into()) {
            bail!("{depth:?} messages were queued, not {MESSAGES}");
        }
        Ok(full)
    }

    /// Nothing is left, in the queue and of it.
    async fn remove(self) -> Result<()> {
        let left = self.broker.depth(&self.channel).await?;
        self.broker.close().await;
        let connection = Connection::connect(&url()?, ConnectionProperties::default()).await?;
        let amqp = connection.create_channel().await?;
        for queue in [
            &self.channel.name,
            &self.channel.dead_letters,
            &self.channel.invalid_messages,
        ] {
            amqp.queue_delete(queue.as_str().into(), QueueDeleteOptions::default())
                .await?;
        }
        amqp.exchange_delete(self.exchange.into(), ExchangeDeleteOptions::default())
            .await?;
        connection.close(200, "done".into()).await?;
        match left {
            Some(0) => Ok(()),
            left => bail!("{left:?} messages were not acked"),
        }
    }
}

fn message(number: u32) -> Result<BrighterMessage> {
    let header = MessageHeader::new(MessageId::new(), TOPIC, MessageType::Command);
    Ok(JsonMapper.to_message(&Order::new(number), header)?)
}

pub(crate) fn through_the_pump() -> Result<Sample> {
    runtime()?.block_on(async {
        let full = Full::make().await?;
        let tally = Tally::of(MESSAGES);
        let processor = CommandProcessor::builder()
            .handler(Counts(Arc::clone(&tally)))
            .broker(full.broker.clone())
            .outbox(InMemoryOutbox::new())
            .build()?;
        let subscription = Subscription::<Order>::new("orders")
            .channel(full.channel.name.clone())
            .buffer(PREFETCH);
        let dispatcher = Dispatcher::builder(processor)
            .subscription(subscription)
            .build()?;
        let watch = Stopwatch::start()?;
        dispatcher.receive();
        tally.complete().await?;
        let sample = watch.per_second(MESSAGES.into());
        dispatcher.end().await;
        full.remove().await?;
        sample
    })
}

/// lapin, which acknowledges each message.
pub(crate) fn raw_acking_each() -> Result<Sample> {
    raw(1)
}

/// lapin, which acknowledges each fiftieth message and with it those before.
pub(crate) fn raw_acking_every_50th() -> Result<Sample> {
    raw(50)
}

fn raw(every: u32) -> Result<Sample> {
    runtime()?.block_on(async {
        let full = Full::make().await?;
        let connection = Connection::connect(&url()?, ConnectionProperties::default()).await?;
        let amqp = connection.create_channel().await?;
        let watch = Stopwatch::start()?;
        amqp.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let queue = full.channel.name.as_str();
        let options = BasicConsumeOptions::default();
        let mut consumer = amqp
            .basic_consume(queue.into(), "".into(), options, FieldTable::default())
            .await?;
        for number in 1..=MESSAGES {
            let delivery = consumer.next().await.context("the consumer ended")??;
            if number % every == 0 {
                let multiple = every > 1;
                delivery.acker.ack(BasicAckOptions { multiple }).await?;
            }
        }
        let sample = watch.per_second(MESSAGES.into());
        // What was written is there once something that was written after it is answered.
        amqp.close(200, "done".into()).await?;
        connection.close(200, "done".into()).await?;
        full.remove().await?;
        sample
    })
}
