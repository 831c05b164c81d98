//! A consumer in a process of its own that does nothing but count, as fast as it can, to be killed: see
//! `brighter_faults::tally`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use std::time::Duration;

use brighter::RabbitMq;
use brighter::channel::{Broker, Channel, ChannelError, Consumer, Delivery, QueueType};
use brighter::transport::rabbitmq::ExchangeKind;
use brighter_faults::consumer::Orders;
use brighter_faults::tally::{Handling, Tally};
use futures_util::FutureExt;

/// How many are counted at once.
const TOGETHER: usize = 200;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let orders = brighter_faults::process::orders::<Orders>();
    let broker = connected(&orders).await;
    let mut channel = Channel::new(orders.queue.as_str(), orders.topic.as_str());
    channel.buffer = 500.try_into().expect("a buffer");
    channel.queue_type = Some(QueueType::Quorum);
    let mut tally = Tally::open(&orders.ledger);
    loop {
        match broker.consume(&channel).await {
            Ok(mut consumer) => count(&mut consumer, &mut tally).await,
            Err(ChannelError::Closed | ChannelError::Name(_)) => return,
            // A queue that is starting may refuse for a while.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Connects, in the midst of whatever harm is done just then.
async fn connected(orders: &Orders) -> RabbitMq {
    let builder = RabbitMq::builder(&orders.url)
        .exchange(orders.exchange.as_str(), ExchangeKind::Topic)
        .connection_name(orders.name.as_str())
        .heartbeat_interval(Duration::from_secs(1))
        .without_connect_timeout();
    loop {
        match builder.clone().connect().await {
            Ok(broker) => return broker,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Counts until the channel is lost.
async fn count(consumer: &mut Consumer, tally: &mut Tally) {
    while let Some(Ok(first)) = consumer.receive().await {
        let mut deliveries = vec![first];
        while deliveries.len() < TOGETHER
            && let Some(Some(Ok(next))) = consumer.receive().now_or_never()
        {
            deliveries.push(next);
        }
        tally.note(&deliveries.iter().map(handling).collect::<Vec<_>>());
        for delivery in deliveries {
            // One that is stale comes again.
            let _ = delivery.ack().await;
        }
    }
}

fn handling(delivery: &Delivery) -> Handling {
    let id = delivery.message().expect("a message").header.id.to_string();
    Handling {
        number: id.parse().expect("a number"),
        again: delivery.redeliveries() > 0,
    }
}
