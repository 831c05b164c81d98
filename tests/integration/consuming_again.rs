//! A consumer that does not give up: `SteadyConsumer`.

use std::sync::Arc;
use std::time::Duration;

use brighter::InMemoryBroker;
use brighter::channel::{Broker, Channel, ChannelError, ConsumeAttempts, Producer, SteadyConsumer};
use brighter::testing::FaultyBroker;
use brighter::testing::outbox::some_message;
use futures_util::FutureExt;

#[tokio::test(start_paused = true)]
async fn consuming_resumes_after_losses_and_ends_with_the_broker() {
    let broker = Arc::new(FaultyBroker::new(InMemoryBroker::new()));
    let mut consumer = SteadyConsumer::new(Arc::clone(&broker), Channel::new("audit", "#"));
    assert!(
        consumer.receive().now_or_never().is_none(),
        "nothing was published"
    );
    for _ in 0..3 {
        broker.lose_connection();
        assert!(
            consumer.receive().now_or_never().is_none(),
            "there is no connection"
        );
        let mut receiving = Box::pin(consumer.receive());
        let waited = tokio::time::timeout(Duration::from_secs(60), &mut receiving).await;
        assert!(waited.is_err(), "there is no connection still");
        drop(receiving);
        broker.restore_connection();
        let message = some_message();
        broker.publish(&message).await.unwrap();
        let delivery = consumer.receive().await.unwrap();
        assert_eq!(delivery.message().unwrap().header.id, message.header.id);
        delivery.ack().await.unwrap();
    }
    broker.remove(&"audit".into()).await.unwrap();
    assert!(
        consumer.receive().now_or_never().is_none(),
        "its channel was removed"
    );
    // It makes the channel anew.
    let message = some_message();
    let publish = async {
        while broker.publish(&message).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (came, ()) = tokio::join!(consumer.receive(), publish);
    came.unwrap().ack().await.unwrap();
    broker.close().await;
    assert!(consumer.receive().await.is_none());
    consumer.close().await.unwrap();
}

#[test]
fn pauses_double_up_to_the_errors_limit() {
    let lost = || ChannelError::Lost {
        reason: String::new(),
    };
    let refused = || ChannelError::Refused {
        reason: String::new(),
    };
    let mut attempts = ConsumeAttempts::new();
    assert!(!attempts.has_failed());
    let pauses: Vec<_> = (0..7).map(|_| attempts.pause(&lost()).as_millis()).collect();
    assert_eq!(pauses, [100, 200, 400, 800, 1600, 2000, 2000]);
    assert!(attempts.has_failed());
    let pauses: Vec<_> = (0..6).map(|_| attempts.pause(&refused()).as_secs()).collect();
    assert_eq!(pauses, [2, 4, 8, 16, 30, 30]);
}
