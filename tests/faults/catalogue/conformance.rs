//! What only a server of our own can show of a transport: that it is restarted.

use brighter::RabbitMq;
use brighter::channel::{Channel, QueueType};
use brighter::testing::conformance::{Features, Harness, a_restart_of_the_server_loses_nothing};
use brighter_faults::node::{self, Alone};
use brighter_faults::place::Place;

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
