//! What only a server of our own, or a way to it, can show of a transport: that it is restarted, and that it stalls.

use std::time::Duration;

use brighter::RabbitMq;
use brighter::channel::{Channel, QueueType};
use brighter::testing::conformance::{
    Features, Harness, Stall, a_consumer_that_gets_nothing_is_noticed, a_half_open_connection_is_noticed,
    a_restart_of_the_server_loses_nothing, a_silent_server_is_noticed,
};
use brighter_faults::node::{self, Alone, Shared};
use brighter_faults::place::Place;
use brighter_faults::proxy::Proxy;

struct OnANode {
    node: Alone,
    place: Place,
    queue_type: QueueType,
}

impl Harness for OnANode {
    type Broker = RabbitMq;

    fn features(&self) -> Features {
        Features::all()
    }

    async fn connect(&self) -> RabbitMq {
        self.place.connect().await
    }

    fn channel(&self, name: &str, routing_key: &str) -> Channel {
        let mut channel = self.place.channel(name, routing_key);
        channel.queue_type = Some(self.queue_type);
        channel
    }

    async fn restart(&self) {
        self.node.stop().await;
        self.node.start_again().await;
    }
}

#[tokio::test]
async fn a_restart_loses_nothing_on_either_type_of_queue() {
    for queue_type in [QueueType::Classic, QueueType::Quorum] {
        let node = node::to_harm().await;
        let place = Place::new(&node);
        a_restart_of_the_server_loses_nothing(&OnANode {
            node,
            place,
            queue_type,
        })
        .await;
    }
}

/// A server that all share, behind a way of one's own that stalls. Its heartbeat is as short as RabbitMQ has it.
struct BehindAProxy {
    node: Shared,
    proxy: Proxy,
    place: Place,
    queue_type: QueueType,
}

impl BehindAProxy {
    async fn new(queue_type: QueueType) -> Self {
        let node = node::shared().await;
        let proxy = Proxy::start(node.address()).await;
        let place = Place::at(&node, proxy.address());
        Self {
            node,
            proxy,
            place,
            queue_type,
        }
    }
}

impl Harness for BehindAProxy {
    type Broker = RabbitMq;

    fn features(&self) -> Features {
        Features::all()
    }

    async fn connect(&self) -> RabbitMq {
        let builder = self.place.builder();
        let builder = builder.heartbeat_interval(Duration::from_secs(1));
        builder.connect().await.unwrap()
    }

    fn channel(&self, name: &str, routing_key: &str) -> Channel {
        let mut channel = self.place.channel(name, routing_key);
        channel.queue_type = Some(self.queue_type);
        channel
    }

    async fn stall(&self, _: &RabbitMq, how: Stall) {
        match how {
            Stall::HalfOpen => self.proxy.black_hole(true),
            Stall::Silent => self.proxy.silence(true),
            // The queue of the case.
            _ => self.node.forget_consumers(&self.place.queue("deaf")).await,
        }
    }

    async fn mend(&self, _: &RabbitMq) {
        self.proxy.black_hole(false);
        self.proxy.silence(false);
    }

    /// Longer than any deadline of the transport.
    fn patience(&self) -> Duration {
        Duration::from_secs(120)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vanished_server_is_noticed_on_both_queue_types() {
    for queue_type in [QueueType::Classic, QueueType::Quorum] {
        a_half_open_connection_is_noticed(&BehindAProxy::new(queue_type).await).await;
        a_silent_server_is_noticed(&BehindAProxy::new(queue_type).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_consumer_is_noticed_on_both_queue_types() {
    for queue_type in [QueueType::Classic, QueueType::Quorum] {
        a_consumer_that_gets_nothing_is_noticed(&BehindAProxy::new(queue_type).await).await;
    }
}
