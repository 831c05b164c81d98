//! What Brighter's own tests ask of RabbitMQ, by their names, each on classic and on quorum queues.

use brighter::channel::{Channel, QueueType};
use brighter_tests::rabbitmq::Corner;

/// Runs each of the behaviours, a function of a [`Ground`], on both types of queue.
macro_rules! on_both_queue_types {
    ($($behaviour:ident),+ $(,)?) => {
        mod on_classic_queues {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour(crate::rabbitmq::behaviours::Ground::classic()).await;
            })+
        }
        mod on_quorum_queues {
            $(#[tokio::test]
            async fn $behaviour() {
                super::$behaviour(crate::rabbitmq::behaviours::Ground::quorum()).await;
            })+
        }
    };
}

mod connecting;
mod dead_letters;
mod delays;
mod infrastructure;
mod lean;
mod limits;
mod posting;
mod redeliveries;

/// A corner of the broker whose queues are of one type.
struct Ground {
    corner: Corner,
    queue_type: QueueType,
}

impl Ground {
    fn classic() -> Self {
        Self {
            corner: Corner::new(),
            queue_type: QueueType::Classic,
        }
    }

    fn quorum() -> Self {
        Self {
            corner: Corner::new(),
            queue_type: QueueType::Quorum,
        }
    }

    fn channel(&self, name: &str, key: &str) -> Channel {
        let mut channel = self.corner.channel(name, key);
        channel.queue_type = Some(self.queue_type);
        channel
    }

    fn is_quorum(&self) -> bool {
        self.queue_type == QueueType::Quorum
    }
}
