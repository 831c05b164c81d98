//! From a full queue of RabbitMQ through the pump to a handler, and the same with lapin alone.

use std::sync::Arc;

use anyhow::{Context, Result};
use futures_util::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;

use super::pump::{Counts, Tally, runtime};
use super::rabbit::{self, PREFETCH, Place};
use crate::measure::{Sample, Stopwatch};

const MESSAGES: u32 = 30_000;

pub(crate) fn through_the_pump() -> Result<Sample> {
    runtime()?.block_on(async {
        let place = Place::make(MESSAGES).await?;
        let tally = Tally::of(MESSAGES);
        let handler = Counts(Arc::clone(&tally));
        let dispatcher = rabbit::dispatcher(place.broker.clone(), place.channel.name.as_str(), handler)?;
        let watch = Stopwatch::start()?;
        dispatcher.receive();
        tally.complete().await?;
        let sample = watch.per_second(MESSAGES.into());
        dispatcher.end().await;
        place.remove(0).await?;
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
        let place = Place::make(MESSAGES).await?;
        let connection = rabbit::raw().await?;
        let amqp = connection.create_channel().await?;
        let watch = Stopwatch::start()?;
        amqp.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let queue = place.channel.name.as_str();
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
        place.remove(0).await?;
        sample
    })
}
