//! A queue of RabbitMQ of a cell's own, and lapin's connections to it.

use anyhow::{Context, Result, bail};
use brighter::MessageId;
use brighter::channel::{Broker, Channel, Producer};
use brighter::mapper::{JsonMapper, MessageMapper};
use brighter::message::{MessageHeader, MessageType};
use brighter::prelude::*;
use brighter::transport::rabbitmq::{ExchangeKind, Headers};
use brighter::{CommandProcessor, Dispatcher, Message as BrighterMessage};
use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::{Connection, ConnectionProperties};

use super::pump::Order;

pub(super) const PREFETCH: u16 = 200;
pub(super) const TOPIC: &str = "Bench.Order";

/// A durable queue with its exchange, both of one sample alone.
pub(super) struct Place {
    pub(super) broker: RabbitMq,
    pub(super) channel: Channel,
    pub(super) exchange: String,
}

fn url() -> Result<String> {
    std::env::var("BRIGHTER_TEST_RABBITMQ_URL").context("BRIGHTER_TEST_RABBITMQ_URL is not set")
}

/// brighter's way to the broker, with all that is safe by default.
pub(super) async fn broker(exchange: &str) -> Result<RabbitMq> {
    broker_with(exchange, Headers::Full).await
}

/// The same with these headers.
pub(super) async fn broker_with(exchange: &str, headers: Headers) -> Result<RabbitMq> {
    Ok(RabbitMq::builder(&url()?)
        .exchange(exchange, ExchangeKind::Direct)
        .headers(headers)
        .connect()
        .await?)
}

/// lapin's.
pub(super) async fn raw() -> Result<Connection> {
    Ok(Connection::connect(&url()?, ConnectionProperties::default()).await?)
}

pub(super) fn message(number: u32) -> Result<BrighterMessage> {
    let header = MessageHeader::new(MessageId::new(), TOPIC, MessageType::Command);
    Ok(JsonMapper.to_message(&Order::new(number), header)?)
}

/// What consumes a queue as everybody does who changes nothing.
pub(super) fn dispatcher<H>(broker: RabbitMq, queue: &str, handler: H) -> Result<Dispatcher>
where
    H: brighter::pipeline::HandlerPipeline<Order>,
{
    let processor = CommandProcessor::builder()
        .handler(handler)
        .broker(broker)
        .outbox(InMemoryOutbox::new())
        .build()?;
    let subscription = Subscription::<Order>::new("orders")
        .channel(queue)
        .buffer(PREFETCH);
    Ok(Dispatcher::builder(processor)
        .subscription(subscription)
        .build()?)
}

impl Place {
    /// The queue, with so many messages in it.
    pub(super) async fn make(messages: u32) -> Result<Self> {
        let id = MessageId::new();
        let exchange = format!("bench-{id}");
        let broker = broker(&exchange).await?;
        let channel = Channel::new(format!("bench-{id}.orders"), TOPIC);
        drop(broker.consume(&channel).await?);
        let orders: Vec<_> = (0..messages).map(message).collect::<Result<_>>()?;
        for some in orders.chunks(1000) {
            for published in broker.publish_all(some.iter().collect()).await {
                published?;
            }
        }
        let place = Self {
            broker,
            channel,
            exchange,
        };
        place.holds(messages).await?;
        Ok(place)
    }

    /// An error, unless exactly so many wait in it.
    pub(super) async fn holds(&self, messages: u32) -> Result<()> {
        match self.broker.depth(&self.channel).await? {
            Some(depth) if depth == u64::from(messages) => Ok(()),
            depth => bail!("{depth:?} messages are in the queue, not {messages}"),
        }
    }

    /// Nothing is left of it; an error, unless exactly so many waited.
    pub(super) async fn remove(self, messages: u32) -> Result<()> {
        let held = self.holds(messages).await;
        self.broker.close().await;
        let connection = raw().await?;
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
        held
    }
}
