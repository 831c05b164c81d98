//! The in-memory broker by itself, through its ports.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use brighter::channel::{Broker, Channel, Producer};
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::prelude::*;
use brighter::{Message as BrighterMessage, MessageId};
use tokio::sync::Notify;

use super::pump::runtime;
use crate::measure::{Sample, Stopwatch};

const MESSAGES: u32 = 500_000;
const CONSUMERS: usize = 2;

pub(crate) fn publish_to_ack() -> Result<Sample> {
    runtime()?.block_on(async {
        let broker = InMemoryBroker::new();
        let mut channel = Channel::new("orders", "Bench.Order");
        channel.buffer = 200.try_into()?;
        let (left, done) = (Arc::new(AtomicU32::new(MESSAGES)), Arc::new(Notify::new()));
        let mut consumers = Vec::new();
        for _ in 0..CONSUMERS {
            let mut consumer = broker.consume(&channel).await?;
            let (left, done) = (Arc::clone(&left), Arc::clone(&done));
            consumers.push(tokio::spawn(async move {
                while let Some(delivery) = consumer.receive().await {
                    delivery?.ack().await?;
                    if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                        done.notify_one();
                    }
                }
                anyhow::Ok(())
            }));
        }
        let header = MessageHeader::new(MessageId::new(), "Bench.Order", MessageType::Command);
        let message = BrighterMessage::new(header, MessageBody::new("x".repeat(1000)));
        let watch = Stopwatch::start()?;
        let producer = broker.clone();
        let publishing = tokio::spawn(async move {
            for number in 0..MESSAGES {
                producer.publish(&message).await?;
                // Nothing here ever waits, and the consumers need the thread too.
                if number % 64 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            anyhow::Ok(())
        });
        publishing.await??;
        done.notified().await;
        let sample = watch.per_second(MESSAGES.into());
        broker.close().await;
        for consumer in consumers {
            consumer.await??;
        }
        sample
    })
}
