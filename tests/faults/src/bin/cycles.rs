//! Connects, receives and ends, again and again, and says after every few times what it holds. It counts what is allocated, so
//! that what the allocator keeps for itself is told apart.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::io::Write;
use std::time::{Duration, Instant};

use brighter::RabbitMq;
use brighter::channel::Broker as _;
use brighter::prelude::*;
use brighter::transport::rabbitmq::ExchangeKind;
use brighter_faults::cycles::{Held, Orders};
use peak_alloc::PeakAlloc;
use tokio::sync::mpsc::UnboundedSender;

#[global_allocator]
static COUNTING: PeakAlloc = PeakAlloc;

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "Cycle")]
struct Cycle;

struct Notes(UnboundedSender<()>);

#[handler]
impl Handler<Cycle> for Notes {
    async fn handle(&self, _: &Cycle) -> Result<(), BoxError> {
        self.0.send(())?;
        Ok(())
    }
}

/// Connects, consumes, publishes a message, handles it, and ends.
async fn cycle(orders: &Orders) {
    let broker = RabbitMq::builder(&orders.url)
        .exchange(orders.exchange.as_str(), ExchangeKind::Topic)
        .connection_name(orders.name.as_str())
        .connect()
        .await
        .expect("the node answers");
    let (sender, mut handled) = tokio::sync::mpsc::unbounded_channel();
    let processor = CommandProcessor::builder()
        .handler(Notes(sender))
        .publication(Publication::<Cycle>::new())
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .build()
        .expect("the processor is put together well");
    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(Subscription::<Cycle>::new(orders.queue.as_str()))
        .build()
        .expect("the dispatcher is put together well");
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    processor.post(Cycle).await.expect("it is posted");
    handled.recv().await.expect("it is handled");
    dispatcher.end().await;
    broker.close().await;
}

/// Threads of the client library and the one that connections share end by themselves, soon after the last connection.
async fn at_rest() {
    let begun = Instant::now();
    let is_of_connections = |name: &String| name.starts_with("lapin") || name.starts_with("brighter-rabbit");
    while threads().iter().any(is_of_connections) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", threads());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux tells");
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .collect()
}

fn held() -> Held {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
    let resident = pages
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    Held {
        live: COUNTING.current_usage(),
        resident: resident.expect("a number of pages") * 4096,
        descriptors: std::fs::read_dir("/proc/self/fd").expect("Linux tells").count(),
        threads: threads().len(),
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let orders = brighter_faults::process::orders::<Orders>();
    for _ in 0..orders.looks {
        for _ in 0..orders.between {
            tokio::time::timeout(Duration::from_secs(120), cycle(&orders))
                .await
                .expect("a cycle ends");
        }
        at_rest().await;
        let line = serde_json::to_string(&held()).expect("figures can be written");
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "held {line}").and_then(|()| out.flush());
    }
}
