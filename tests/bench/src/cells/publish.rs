//! Straight to RabbitMQ, 256 unconfirmed at a time, and the same with lapin alone.

use anyhow::{Result, ensure};
use brighter::Message;
use brighter::channel::Producer;
use brighter::transport::rabbitmq::Headers;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation};

use super::pump::runtime;
use super::rabbit::{self, Place, TOPIC};
use crate::measure::{Sample, Stopwatch};

const MESSAGES: u32 = 20_000;
const WINDOW: usize = 256;
/// What AMQP calls persistent.
pub(super) const PERSISTENT: u8 = 2;

pub(crate) fn full() -> Result<Sample> {
    ours(Headers::Full)
}

pub(crate) fn lean() -> Result<Sample> {
    ours(Headers::Lean)
}

fn ours(headers: Headers) -> Result<Sample> {
    runtime()?.block_on(async {
        let place = Place::make(0).await?;
        let broker = rabbit::broker_with(&place.exchange, headers).await?;
        let messages: Vec<_> = (0..MESSAGES).map(rabbit::message).collect::<Result<_>>()?;
        let watch = Stopwatch::start()?;
        stream::iter(&messages)
            .map(|message| broker.publish(message))
            .buffer_unordered(WINDOW)
            .try_collect::<()>()
            .await?;
        let sample = watch.per_second(MESSAGES.into());
        place.remove(MESSAGES).await?;
        sample
    })
}

pub(crate) fn raw() -> Result<Sample> {
    raw_with(|_| BasicProperties::default())
}

/// The properties and headers of brighter's messages, written by hand.
pub(crate) fn raw_alike() -> Result<Sample> {
    raw_with(|message| {
        let header = &message.header;
        let id = header.id.to_string();
        let mut headers = FieldTable::default();
        headers.insert("HandledCount".into(), AMQPValue::LongInt(0));
        for (name, value) in [
            ("MessageType", header.message_type.as_str()),
            ("Topic", header.topic.as_str()),
            ("cloudEvents_id", id.as_str()),
            ("cloudEvents_source", header.source()),
            ("cloudEvents_specversion", "1.0"),
            ("cloudEvents_time", "2026-01-01T00:00:00.000Z"),
            ("cloudEvents_type", header.event_type()),
        ] {
            headers.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        let content_type = || header.content_type.as_ref().into();
        BasicProperties::default()
            .with_content_type(content_type())
            .with_type(content_type())
            .with_message_id(id.into())
            .with_timestamp(0)
            .with_headers(headers)
    })
}

fn raw_with(properties: fn(&Message) -> BasicProperties) -> Result<Sample> {
    runtime()?.block_on(async {
        let place = Place::make(0).await?;
        let connection = rabbit::raw().await?;
        let amqp = connection.create_channel().await?;
        amqp.confirm_select(ConfirmSelectOptions::default()).await?;
        let messages: Vec<_> = (0..MESSAGES).map(rabbit::message).collect::<Result<_>>()?;
        let watch = Stopwatch::start()?;
        stream::iter(&messages)
            .map(|message| {
                confirmed(
                    &amqp,
                    &place.exchange,
                    properties(message),
                    message.body.as_bytes(),
                )
            })
            .buffer_unordered(WINDOW)
            .try_collect::<()>()
            .await?;
        let sample = watch.per_second(MESSAGES.into());
        connection.close(200, "done".into()).await?;
        place.remove(MESSAGES).await?;
        sample
    })
}

/// Publishes with the flags that brighter sets, and waits for the confirm.
pub(super) async fn confirmed(
    amqp: &Channel,
    exchange: &str,
    properties: BasicProperties,
    body: &[u8],
) -> Result<()> {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let properties = properties.with_delivery_mode(PERSISTENT);
    let sent = amqp.basic_publish(exchange.into(), TOPIC.into(), options, body, properties);
    let confirmation = sent.await?.await?;
    ensure!(
        matches!(confirmation, Confirmation::Ack(None)),
        "not taken: {confirmation:?}"
    );
    Ok(())
}
