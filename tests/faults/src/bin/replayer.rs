//! A replay of dead letters in a process of its own, to be killed. It says on its output what became of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use brighter::RabbitMq;
use brighter::channel::{Broker, Channel, Replay};
use brighter::transport::rabbitmq::ExchangeKind;
use brighter_faults::consumer::Orders;

#[tokio::main]
async fn main() {
    let orders = brighter_faults::process::orders::<Orders>();
    let broker = RabbitMq::builder(&orders.url)
        .exchange(orders.exchange.as_str(), ExchangeKind::Topic)
        .connection_name(orders.name.as_str())
        .connect()
        .await
        .expect("the node answers");
    let channel = Channel::new(orders.queue.as_str(), orders.topic.as_str());
    // The topic is the name as well, and what the reasons of those that are chosen hold.
    let replayed = Replay::new(orders.topic.as_str(), &channel)
        .run(&broker, |letter| {
            let rejected = letter.rejected.as_ref();
            rejected.is_some_and(|rejected| rejected.rejection.reason.contains(&orders.topic))
        })
        .await
        .expect("the broker is there");
    println!(
        "replayed {} left {} came back {} unseen {}",
        replayed.replayed, replayed.left, replayed.came_back, replayed.unseen
    );
    broker.close().await;
}
