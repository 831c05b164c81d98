//! C09: what waits for its delay survives the broker.

use std::time::{Duration, Instant};

use brighter::MessageId;
use brighter::channel::{Broker, ChannelError, Consumer, Producer, QueueType};
use brighter_faults::node;
use brighter_faults::place::{Place, message};
use brighter_faults::scale::report;
use brighter_faults::wait::in_time;
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c09_delayed_messages_survive_a_broker_restart() {
    let node = node::to_harm().await;
    let place = Place::new(&node);
    let broker = place.connect().await;
    let delays = [5, 600].map(Duration::from_secs);
    let mut channels = Vec::new();
    for (name, queue_type) in [("classic", QueueType::Classic), ("quorum", QueueType::Quorum)] {
        let mut channel = place.channel(name, name);
        channel.queue_type = Some(queue_type);
        let mut consumer = broker.consume(&channel).await.unwrap();
        let ids = delays.map(|_| MessageId::new());
        for (id, delay) in ids.iter().zip(delays).rev() {
            broker.publish(&message(name, &id.to_string())).await.unwrap();
            let delivery = in_time("a delivery", consumer.receive()).await.unwrap().unwrap();
            delivery.requeue(delay, true).await.unwrap();
        }
        channels.push((channel, ids, Instant::now()));
    }
    node.stop().await;
    node.start_again().await;
    for (channel, [short, _long], parked) in channels {
        let mut consumer = again(&broker, &channel).await;
        let delivery = in_time("the retry", consumer.receive()).await.unwrap().unwrap();
        // The short one, once; the long one waits, and does not hold it up.
        assert_eq!(delivery.message().unwrap().header.id, short);
        assert_eq!(delivery.message().unwrap().header.handled_count, 1);
        report(
            "C09",
            format_args!("{}: back after {:?}", channel.name, parked.elapsed()),
        );
        delivery.ack().await.unwrap();
        drop(consumer);
        let waiting = broker.topology(&channel).unwrap().delay_queue(delays[1]).unwrap();
        let mut parked = channel.clone();
        parked.name = waiting.name.into();
        assert_eq!(broker.depth(&parked).await.unwrap(), Some(1));
    }
    broker.close().await;
}

async fn again(broker: &impl Broker, channel: &brighter::channel::Channel) -> Consumer {
    in_time("a consumer", async {
        loop {
            match broker.consume(channel).await {
                Ok(consumer) => return consumer,
                Err(ChannelError::Disconnected(_) | ChannelError::Lost { .. }) => {
                    sleep(Duration::from_millis(50)).await;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    })
    .await
}
