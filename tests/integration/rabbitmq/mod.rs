//! RabbitMQ through its ports, on a real broker.

mod acking;
mod behaviours;
mod connecting;
mod consuming;
mod dotnet;
mod foreign;
mod interop;
mod losing;
mod memory;
mod publishing;
mod settling;

use brighter::channel::{ChannelError, Consumer, Delivery};
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::{Message, MessageId};
use brighter_tests::wait::deadline;
use tokio::time::timeout;

fn message(topic: &str) -> Message {
    let header = MessageHeader::new(MessageId::new(), topic, MessageType::Event);
    Message::new(header, MessageBody::new("{}"))
}

fn with_buffer(mut channel: brighter::channel::Channel, buffer: u16) -> brighter::channel::Channel {
    channel.buffer = buffer.try_into().unwrap();
    channel
}

async fn received(consumer: &mut Consumer) -> Option<Result<Delivery, ChannelError>> {
    timeout(deadline(), consumer.receive())
        .await
        .expect("something comes in time")
}

async fn next(consumer: &mut Consumer) -> Delivery {
    received(consumer).await.expect("not closed").expect("not lost")
}

fn id(delivery: &Delivery) -> MessageId {
    delivery.message().expect("a message").header.id.clone()
}
