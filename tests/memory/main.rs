//! What is held in memory while a queue is worked off: as much as the buffer allows, however long the queue is.
//!
//! A program of its own, because all that it allocates is counted, on whatever thread.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::convert::Infallible;
use std::sync::Arc;

use brighter::channel::{Broker, Producer};
use brighter::message::{MessageBody, MessageType};
use brighter::prelude::*;
use brighter_tests::rabbitmq::{Corner, Raw};
use brighter_tests::wait::until;
use peak_alloc::PeakAlloc;
use tokio::sync::Semaphore;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const BUFFER: u16 = 20;
const SIZE: usize = 64 * 1024;
/// What has nothing to do with the size of messages: tasks, tables, the names of a subscription.
const BESIDE: usize = 256 * 1024;

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "Large")]
struct Large {
    text: String,
}

impl Large {
    fn message() -> brighter::Message {
        let header = MessageHeader::new(MessageId::new(), "Large", MessageType::Command);
        let large = Self {
            text: "x".repeat(SIZE),
        };
        brighter::Message::new(header, MessageBody::new(serde_json::to_vec(&large).unwrap()))
    }
}

/// Handles each message only when it is told to.
#[derive(Clone)]
struct Waits {
    told: Arc<Semaphore>,
    handled: Arc<Semaphore>,
}

#[handler]
impl Handler<Large> for Waits {
    async fn handle(&self, _: &Large) -> Result<(), Infallible> {
        if let Ok(told) = self.told.acquire().await {
            told.forget();
        }
        self.handled.add_permits(1);
        Ok(())
    }
}

/// How many bytes more than before are held at most while so many messages are worked off, one after the other.
async fn held_at_most(messages: u32) -> usize {
    let corner = Corner::new();
    let broker = corner.connect().await;
    let channel = corner.channel("large", "Large");
    drop(broker.consume(&channel).await.unwrap());
    for _ in 0..messages {
        broker.publish(&Large::message()).await.unwrap();
    }
    let raw = Raw::connect().await;
    raw.until_depth(channel.name.as_str(), messages).await;

    let waits = Waits {
        told: Arc::new(Semaphore::new(0)),
        handled: Arc::new(Semaphore::new(0)),
    };
    let processor = CommandProcessor::builder()
        .handler(waits.clone())
        .broker(broker.clone())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor)
        .subscription(
            Subscription::<Large>::new("large")
                .channel(channel.name.clone())
                .buffer(BUFFER),
        )
        .build()
        .unwrap();
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    dispatcher.receive();
    // Else nothing would be shown: the buffer is as full as it may be before the first is handled.
    let full = before + usize::from(BUFFER) * SIZE;
    until("the buffer is full", || MEMORY.current_usage() >= full).await;
    for _ in 0..messages {
        waits.told.add_permits(1);
        waits.handled.acquire().await.unwrap().forget();
    }
    let held = MEMORY.peak_usage() - before;
    dispatcher.end().await;
    assert_eq!(raw.depth(channel.name.as_str()).await, 0);
    broker.close().await;
    held
}

#[tokio::test]
async fn the_buffer_bounds_messages_held_of_a_queue() {
    // One is in hand beside what waits for it: its request was read out of its body.
    let most = (usize::from(BUFFER) + 2) * SIZE + BESIDE;
    for messages in [50, 500] {
        let held = held_at_most(messages).await;
        assert!(
            held <= most,
            "{held} bytes of {messages} messages, and {most} are allowed"
        );
    }
}
