//! Calls whose replies come late, or twice, or for nobody: C17.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use brighter::RabbitMq;
use brighter::channel::Broker;
use brighter::mapper::Postable;
use brighter::prelude::*;
use brighter::processor::CallError;
use brighter_faults::frames::Kind;
use brighter_faults::leaks::Held;
use brighter_faults::place::Place;
use brighter_faults::proxy::{Act, Direction, Proxy, Rule};
use brighter_faults::wait::{deadline, until_answer};
use brighter_faults::{capture, node};
use tokio::sync::watch;

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "C17.Quote", reply = u64)]
struct Quote {
    amount: u64,
}

/// Quotes when the gate is open; counts those that were begun.
#[derive(Clone)]
struct Quotes {
    begun: Arc<AtomicUsize>,
    gate: watch::Sender<bool>,
}

impl Quotes {
    fn new() -> Self {
        Self {
            begun: Arc::default(),
            gate: watch::Sender::new(true),
        }
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }
}

#[handler]
impl Handler<Quote> for Quotes {
    async fn handle(&self, quote: &Quote) -> Result<u64, BoxError> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.gate.subscribe().wait_for(|open| *open).await?;
        Ok(quote.amount * 2)
    }
}

async fn server(place: &Place, broker: RabbitMq) -> (Dispatcher, Quotes) {
    let quotes = Quotes::new();
    let processor = CommandProcessor::builder()
        .handler(quotes.clone())
        .broker(broker)
        .build()
        .unwrap();
    let dispatcher = Dispatcher::builder(processor)
        .subscription(Subscription::<Quote>::new(place.queue("c17")).performers(2))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    (dispatcher, quotes)
}

async fn caller(place: &Place) -> CommandProcessor {
    let builder = CommandProcessor::builder().broker(place.connect().await);
    builder.build().unwrap()
}

async fn until_dropped(processor: &CommandProcessor, replies: u64) {
    until_answer("dropped replies", replies, async || {
        processor.call_stats().dropped_replies
    })
    .await;
}

#[tokio::test]
async fn c17_a_late_reply_is_dropped_and_counted() {
    let node = node::shared().await;
    let place = Place::new(&node);
    let (dispatcher, quotes) = server(&place, place.connect().await).await;
    let processor = caller(&place).await;
    // So that what is counted below was there before.
    assert_eq!(processor.call(Quote { amount: 1 }, deadline()).await.unwrap(), 2);
    let held = Held::now();

    quotes.gate.send_replace(false);
    let error = processor
        .call(Quote { amount: 2 }, Duration::from_millis(300))
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::TimedOut { .. }), "{error}");
    assert_eq!(processor.call_stats().in_flight, 0);
    until_answer("begun", 2, async || quotes.begun()).await;
    quotes.gate.send_replace(true);
    until_dropped(&processor, 1).await;
    assert_eq!(processor.call(Quote { amount: 3 }, deadline()).await.unwrap(), 6);
    held.tasks_are_back().await;
    dispatcher.end().await;
    processor.close().await;
    capture::assert_no_password();
}

#[tokio::test]
async fn c17_a_vanished_callers_request_is_handled_without_leftovers() {
    let node = node::shared().await;
    let place = Place::new(&node);
    let broker = place.connect().await;
    let (dispatcher, quotes) = server(&place, broker.clone()).await;
    quotes.gate.send_replace(false);
    let processor = caller(&place).await;
    let call = tokio::spawn({
        let processor = processor.clone();
        async move { processor.call(Quote { amount: 1 }, deadline()).await }
    });
    until_answer("begun", 1, async || quotes.begun()).await;
    processor.close().await;
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Closed), "{error}");
    quotes.gate.send_replace(true);
    dispatcher.end().await;
    let depth = broker.depth(&place.channel("c17", Quote::TOPIC)).await;
    assert_eq!(depth.unwrap(), Some(0));
    assert_eq!(quotes.begun(), 1);
    capture::assert_no_password();
}

/// The confirm of the reply is lost, so the server sends it again, or even handles the request again: the caller gets one
/// of them.
#[tokio::test]
async fn c17_a_second_reply_is_dropped_and_counted() {
    let node = node::shared().await;
    let proxy = Proxy::start(node.address()).await;
    let place = Place::new(&node);
    let url = node.url_at(proxy.address());
    let broker = place.builder_at(&url).confirm_timeout(Duration::from_secs(1));
    let (dispatcher, _) = server(&place, broker.connect().await.unwrap()).await;
    let processor = caller(&place).await;
    assert_eq!(processor.call(Quote { amount: 1 }, deadline()).await.unwrap(), 2);

    proxy.add(Rule::next(Direction::ToClient, Kind::ACK, Act::Drop));
    assert_eq!(processor.call(Quote { amount: 2 }, deadline()).await.unwrap(), 4);
    until_dropped(&processor, 1).await;
    assert_eq!(processor.call_stats().in_flight, 0);
    dispatcher.end().await;
    processor.close().await;
    capture::assert_no_password();
}
