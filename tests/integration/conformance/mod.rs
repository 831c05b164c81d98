//! Every transport does what a transport must, and the suite that says so can fail.

mod broken;

use std::time::Duration;

use brighter::channel::{Broker as _, Channel, QueueType};
use brighter::testing::conformance::{Feature, Features, Harness};
use brighter::{InMemoryBroker, RabbitMq, SqliteBroker};
use brighter_tests::rabbitmq::{Corner, Raw, counts_releases};

/// A broker of its own, which has neither a server nor a disk.
struct InMemory(InMemoryBroker);

impl Harness for InMemory {
    type Broker = InMemoryBroker;

    fn features(&self) -> Features {
        Features::all()
            .without(Feature::Durable)
            .without(Feature::Reconnect)
            .without(Feature::Restart)
            .without(Feature::Stalls)
            .without(Feature::DeafConsumer)
    }

    async fn connect(&self) -> InMemoryBroker {
        self.0.clone()
    }

    async fn consumers(&self, broker: &InMemoryBroker, channel: &Channel) -> Option<u64> {
        broker.consumer_count(&channel.name)
    }

    /// It does at once what it does.
    fn quiet(&self) -> Duration {
        Duration::from_millis(20)
    }
}

/// A corner of the broker that all tests share, which is not to be restarted.
struct Rabbit {
    corner: Corner,
    queue_type: QueueType,
}

impl Rabbit {
    fn new(queue_type: QueueType) -> Self {
        Self {
            corner: Corner::new(),
            queue_type,
        }
    }
}

impl Harness for Rabbit {
    type Broker = RabbitMq;

    fn features(&self) -> Features {
        // What a way to the server can do is done where there is one: `tests/faults/catalogue/conformance.rs`.
        let features = Features::all()
            .without(Feature::Restart)
            .without(Feature::Stalls)
            .without(Feature::DeafConsumer)
            .without(Feature::Listing);
        match self.queue_type {
            // Quorum queues alone count deliveries, and have no range of priorities.
            QueueType::Quorum if counts_releases() => features.without(Feature::Priorities),
            QueueType::Quorum => features
                .without(Feature::Priorities)
                .without(Feature::ReleaseCount),
            _ => features
                .without(Feature::RedeliveryCount)
                .without(Feature::DeliveryLimit),
        }
    }

    async fn connect(&self) -> RabbitMq {
        self.corner.connect().await
    }

    fn channel(&self, name: &str, routing_key: &str) -> Channel {
        let mut channel = self.corner.channel(name, routing_key);
        channel.queue_type = Some(self.queue_type);
        channel
    }

    fn quiet(&self) -> Duration {
        Duration::from_millis(100)
    }

    async fn consumers(&self, _: &RabbitMq, channel: &Channel) -> Option<u64> {
        let raw = Raw::connect().await;
        let consumers = raw.consumers(channel.name.as_str()).await;
        raw.connection.close(200, "done".into()).await.unwrap();
        Some(consumers.into())
    }

    async fn cut(&self, _: &RabbitMq) {
        self.corner.close_connection("consumer").await;
        self.corner.close_connection("publisher").await;
    }
}

/// A file of its own. There is no connection to cut and no server to restart.
struct File(tempfile::TempDir);

impl Harness for File {
    type Broker = SqliteBroker;

    fn features(&self) -> Features {
        Features::all()
            .without(Feature::Reconnect)
            .without(Feature::Restart)
            .without(Feature::Stalls)
            .without(Feature::DeafConsumer)
    }

    async fn connect(&self) -> SqliteBroker {
        SqliteBroker::open(self.0.path().join("broker.db")).await.unwrap()
    }

    fn quiet(&self) -> Duration {
        Duration::from_millis(100)
    }
}

brighter::transport_conformance!(sqlite, async || (File(tempfile::tempdir().unwrap()), ()));
brighter::transport_conformance!(
    in_memory,
    async || (InMemory(InMemoryBroker::new()), ()),
    times = 8
);
brighter::transport_conformance!(rabbitmq_classic, async || (Rabbit::new(QueueType::Classic), ()));
brighter::transport_conformance!(rabbitmq_quorum, async || (Rabbit::new(QueueType::Quorum), ()));
