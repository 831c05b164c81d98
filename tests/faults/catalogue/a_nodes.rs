//! Which node of several: A11.

use std::time::Duration;

use brighter::RabbitMq;
use brighter::channel::Broker;
use brighter::transport::rabbitmq::ExchangeKind;
use brighter_faults::capture;
use brighter_faults::ledger::Ledger;
use brighter_faults::node;
use brighter_faults::place::Place;
use brighter_faults::proxy::Proxy;
use brighter_faults::traffic::{Traffic, consume, handle_all};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a11_the_live_node_is_used_every_time() {
    let node = node::shared().await;
    let (one, other) = (
        Proxy::start(node.address()).await,
        Proxy::start(node.address()).await,
    );
    one.refuse(true);
    let place = Place::new(&node);
    let broker = RabbitMq::cluster([node.url_at(one.address()), node.url_at(other.address())])
        .exchange(place.exchange(), ExchangeKind::Topic)
        .connection_name(place.id())
        .connect()
        .await
        .unwrap();
    let channel = place.channel("a11", "a11");
    drop(consume(&broker, &channel).await);
    let ledger = Ledger::new();
    let traffic = Traffic::new(broker.clone(), &ledger, Duration::from_secs(30));
    traffic.one("a11").await;
    // They change places.
    ledger.fault();
    one.refuse(false);
    other.refuse(true);
    other.reset();
    ledger.cleared();
    traffic.one("a11").await;
    handle_all(&broker, &channel, &ledger, 2).await;
    assert!(one.open() >= 1 && other.open() == 0);
    ledger.verdict().check("A11");
    capture::assert_no_password();
    broker.close().await;
}
