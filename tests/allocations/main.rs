//! How often the hot paths allocate: counts, which a busy machine does not change.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod paths;

use std::sync::Arc;

use brighter::channel::Producer;
use brighter::message::{MessageBody, MessageType};
use brighter::prelude::*;
use tokio::sync::Semaphore;

#[derive(Debug, Command)]
struct Nothing;

struct Does;

#[handler]
impl Handler<Nothing> for Does {
    #[request_logging(step = 1)]
    #[use_policy(circuit_breaker, step = 2)]
    #[use_policy(retry, step = 3)]
    async fn handle(&self, _: &Nothing) -> Result<(), std::convert::Infallible> {
        Ok(())
    }
}

#[test]
fn send_through_three_steps_allocates_at_most_three_times() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let processor = CommandProcessor::builder().handler(Does).build().unwrap();
    let send = || {
        futures_util::FutureExt::now_or_never(processor.send(Nothing))
            .unwrap()
            .unwrap()
    };
    send();
    let counted = allocation_counter::measure(|| (0..100).for_each(|_| send()));
    assert!(
        counted.count_total <= 300,
        "{} allocations for 100 commands",
        counted.count_total
    );
    assert_eq!(counted.count_current, 0, "nothing is kept");
}

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "Note", kind = "event")]
struct Note {
    number: u32,
}

#[derive(Clone)]
struct Counts(Arc<Semaphore>);

#[handler]
impl Handler<Note> for Counts {
    async fn handle(&self, _: &Note) -> Result<(), std::convert::Infallible> {
        self.0.add_permits(1);
        Ok(())
    }
}

/// What the in-memory broker needs is in it: the copy for its queue, the delivery, the receipt and its boxes.
#[test]
fn a_message_through_the_pump_allocates_at_most_nine_times() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (broker, counts) = (InMemoryBroker::new(), Counts(Arc::new(Semaphore::new(0))));
    let _entered = runtime.enter();
    let processor = CommandProcessor::builder()
        .handler(counts.clone())
        .broker(broker.clone())
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor)
        .subscription(Subscription::<Note>::new("notes"))
        .build()
        .unwrap();
    dispatcher.receive();
    let message = || {
        let header = MessageHeader::new(MessageId::new(), "Note", MessageType::Event);
        Message::new(header, MessageBody::new(&br#"{"number": 1}"#[..]))
    };
    let pump = |messages: &[Message]| {
        runtime.block_on(async {
            for message in messages {
                broker.publish(message).await.unwrap();
            }
            let handled = u32::try_from(messages.len()).unwrap();
            counts.0.acquire_many(handled).await.unwrap().forget();
        });
    };
    let messages: Vec<_> = (0..200).map(|_| message()).collect();
    runtime.block_on(dispatcher.wait_until_consuming());
    pump(&messages);
    let counted = allocation_counter::measure(|| pump(&messages));
    assert!(
        counted.count_total <= 200 * 9,
        "{} allocations for 200 messages",
        counted.count_total
    );
}
