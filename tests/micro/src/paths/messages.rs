//! Messages through what there is of outbox, broker and pump in memory. Everything runs on the thread that walks.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use brighter::channel::{Broker, Channel, Producer};
use brighter::mapper::{JsonMapper, MessageMapper};
use brighter::message::{MessageHeader, MessageType};
use brighter::outbox::Outbox;
use brighter::prelude::*;
use brighter::{CommandProcessor, Dispatcher, Message as BrighterMessage, MessageId};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use crate::Walk;

/// So many are posted before their handling is waited for: as a busy application has it.
const BURST: u32 = 50;

/// A kilobyte, as JSON.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "Micro.Order")]
pub(super) struct Order {
    number: u32,
    text: String,
}

impl Order {
    pub(super) fn new(number: u32) -> Self {
        Self {
            number,
            text: "x".repeat(980),
        }
    }
}

struct Counts(Arc<Semaphore>);

#[handler]
impl Handler<Order> for Counts {
    async fn handle(&self, _: &Order) -> Result<(), Infallible> {
        self.0.add_permits(1);
        Ok(())
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn message() -> BrighterMessage {
    let header = MessageHeader::new(MessageId::new(), "Micro.Order", MessageType::Command);
    JsonMapper.to_message(&Order::new(1), header).unwrap()
}

/// A runtime with a dispatcher that consumes, and what counts the handled.
struct Rig {
    dispatcher: Dispatcher,
    broker: InMemoryBroker,
    handled: Arc<Semaphore>,
    runtime: Runtime,
}

impl Rig {
    /// With so many subscriptions, each with a topic and a channel of its own. The last gets the messages.
    fn new(subscriptions: u32) -> Self {
        let runtime = runtime();
        let entered = runtime.enter();
        let (broker, handled) = (InMemoryBroker::new(), Arc::new(Semaphore::new(0)));
        let processor = CommandProcessor::builder()
            .handler(Counts(Arc::clone(&handled)))
            .broker(broker.clone())
            .outbox(InMemoryOutbox::new())
            .build()
            .unwrap();
        let others = (1..subscriptions).map(|number| {
            let name = format!("orders-{number}");
            Subscription::<Order>::new(name.as_str()).routing_key(format!("Micro.{number}"))
        });
        let orders = Subscription::<Order>::new("orders");
        let dispatcher = others
            .chain([orders])
            .fold(Dispatcher::builder(processor), |builder, subscription| {
                builder.subscription(subscription.buffer(200))
            })
            .build()
            .unwrap();
        dispatcher.receive();
        drop(entered);
        runtime.block_on(dispatcher.wait_until_consuming());
        Self {
            dispatcher,
            broker,
            handled,
            runtime,
        }
    }

    async fn handled(&self, messages: u32) {
        self.handled.acquire_many(messages).await.unwrap().forget();
    }
}

pub(super) fn broker() -> Walk {
    let (runtime, broker, message) = (runtime(), InMemoryBroker::new(), message());
    let channel = Channel::new("orders", "Micro.Order");
    let mut consumer = runtime.block_on(broker.consume(&channel)).unwrap();
    Box::new(move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                broker.publish(&message).await.unwrap();
                consumer.receive().await.unwrap().unwrap().ack().await.unwrap();
            }
        });
    })
}

pub(super) fn outbox() -> Walk {
    let (runtime, outbox, mut message) = (runtime(), InMemoryOutbox::new(), message());
    Box::new(move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                message.header.id = MessageId::new();
                let messages = std::slice::from_ref(&message);
                outbox
                    .deposit(messages, Some(Duration::from_secs(60)))
                    .await
                    .unwrap();
                outbox
                    .mark_dispatched(std::slice::from_ref(&message.header.id))
                    .await
                    .unwrap();
            }
        });
    })
}

pub(super) fn pump(subscriptions: u32) -> Walk {
    let (rig, message) = (Rig::new(subscriptions), message());
    Box::new(move |times| {
        rig.runtime.block_on(async {
            for first in (0..times).step_by(BURST as usize) {
                let burst = BURST.min(times - first);
                for _ in 0..burst {
                    rig.broker.publish(&message).await.unwrap();
                }
                rig.handled(burst).await;
            }
        });
    })
}

pub(super) fn post_to_ack() -> Walk {
    let rig = Rig::new(1);
    Box::new(move |times| {
        rig.runtime.block_on(async {
            for first in (0..times).step_by(BURST as usize) {
                let burst = BURST.min(times - first);
                for number in 0..burst {
                    rig.dispatcher.processor().post(Order::new(number)).await.unwrap();
                }
                rig.handled(burst).await;
            }
        });
    })
}
