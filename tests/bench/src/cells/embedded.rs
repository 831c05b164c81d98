//! The broker in a file: everything is on the disk before it counts.

use std::sync::Arc;

use anyhow::{Result, ensure};
use brighter::channel::Producer;
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::prelude::*;
use brighter::{
    CommandProcessor, Dispatcher, Message as BrighterMessage, MessageId, SqliteBroker, SqliteOutbox,
};
use futures_util::future::join_all;

use super::pump::{Counts, Order, Tally, runtime};
use crate::measure::{Sample, Stopwatch};

const MESSAGES: u32 = 20_000;
/// What an application posts in one transaction of its own.
const IN_A_TRANSACTION: u32 = 50;
const POSTERS: u32 = 2;
/// What is under way at once without an outbox.
const AT_ONCE: u32 = 64;

fn dispatcher(processor: CommandProcessor) -> Result<Dispatcher> {
    let orders = Subscription::<Order>::new("orders").performers(2).buffer(200);
    Ok(Dispatcher::builder(processor).subscription(orders).build()?)
}

/// Transaction of the application → outbox → broker → pump → handler → ack, all of it at once and in one file.
pub(crate) fn post_to_ack() -> Result<Sample> {
    runtime()?.block_on(async {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("embedded.db");
        let (outbox, broker) = (SqliteOutbox::open(&path).await?, SqliteBroker::open(&path).await?);
        let tally = Tally::of(MESSAGES);
        let processor = CommandProcessor::builder()
            .handler(Counts(Arc::clone(&tally)))
            .broker(broker.clone())
            .outbox(outbox.clone())
            .build()?;
        let dispatcher = dispatcher(processor.clone())?;
        dispatcher.receive();
        dispatcher.wait_until_consuming().await;
        let watch = Stopwatch::start()?;
        let posters: Vec<_> = (0..POSTERS)
            .map(|poster| {
                let (processor, outbox) = (processor.clone(), outbox.clone());
                let mine = MESSAGES / POSTERS;
                let numbers: Vec<u32> = (poster * mine..(poster + 1) * mine).collect();
                tokio::spawn(async move {
                    for some in numbers.chunks(IN_A_TRANSACTION as usize) {
                        let mut tx = outbox.pool().begin_with("BEGIN IMMEDIATE").await?;
                        let orders = some.iter().map(|number| Order::new(*number));
                        let ids = processor.deposit_posts(&mut tx, orders).await?;
                        tx.commit().await?;
                        let cleared = processor.clear_outbox(&ids).await?;
                        ensure!(cleared.kept.is_empty(), "{:?}", cleared.kept);
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        for poster in posters {
            poster.await??;
        }
        tally.complete().await?;
        let sample = watch.per_second(MESSAGES.into());
        dispatcher.end().await;
        sample
    })
}

/// Broker → pump → handler → ack.
pub(crate) fn publish_to_ack() -> Result<Sample> {
    runtime()?.block_on(async {
        let folder = tempfile::tempdir()?;
        let broker = SqliteBroker::open(folder.path().join("broker.db")).await?;
        let tally = Tally::of(MESSAGES);
        let processor = CommandProcessor::builder()
            .handler(Counts(Arc::clone(&tally)))
            .broker(broker.clone())
            .build()?;
        let dispatcher = dispatcher(processor)?;
        dispatcher.receive();
        dispatcher.wait_until_consuming().await;
        let messages: Vec<_> = (0..MESSAGES).map(order).collect::<Result<_>>()?;
        let watch = Stopwatch::start()?;
        let publishing = messages
            .chunks(messages.len() / AT_ONCE as usize)
            .map(async |mine| {
                for message in mine {
                    broker.publish(message).await?;
                }
                anyhow::Ok(())
            });
        join_all(publishing).await.into_iter().collect::<Result<()>>()?;
        tally.complete().await?;
        let sample = watch.per_second(MESSAGES.into());
        dispatcher.end().await;
        sample
    })
}

fn order(number: u32) -> Result<BrighterMessage> {
    let header = MessageHeader::new(MessageId::new(), "Bench.Order", MessageType::Command);
    let body = MessageBody::new(serde_json::to_vec(&Order::new(number))?);
    Ok(BrighterMessage::new(header, body))
}
