//! `FaultyBroker`: each fault is what it says.

use std::time::Duration;

use brighter::channel::{
    Broker, BrokerStatus, Channel, ChannelError, Consumer, Delivery, Producer, PublishError, SettleError,
};
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::testing::{FaultyBroker, PublishFault, SettleFault};
use brighter::{InMemoryBroker, Message, MessageId};

fn message(id: &str) -> Message {
    let header = MessageHeader::new(MessageId::from(id), "t", MessageType::Event);
    Message::new(header, MessageBody::new("{}"))
}

async fn broker() -> (FaultyBroker, Consumer) {
    let broker = FaultyBroker::new(InMemoryBroker::new());
    let consumer = broker.consume(&Channel::new("c", "t")).await.unwrap();
    (broker, consumer)
}

fn waiting(broker: &FaultyBroker) -> Vec<String> {
    let messages = broker.inner().messages("c");
    messages
        .iter()
        .map(|message| message.header.id.to_string())
        .collect()
}

async fn next(consumer: &mut Consumer) -> Delivery {
    consumer.receive().await.expect("not closed").expect("not lost")
}

fn id(delivery: &Delivery) -> String {
    delivery.message().unwrap().header.id.to_string()
}

#[tokio::test(start_paused = true)]
async fn only_accepted_messages_are_published() {
    let (broker, _consumer) = broker().await;
    use PublishFault::{Away, ConfirmLost, Duplicate, Refuse};
    broker.next_publishes([Away, Refuse, ConfirmLost, Duplicate]);
    let mut results = Vec::new();
    for id in ["away", "refused", "confirm lost", "twice", "well"] {
        results.push(broker.publish(&message(id)).await);
    }
    assert!(matches!(results[0], Err(PublishError::Disconnected(_))));
    assert!(matches!(results[1], Err(PublishError::Refused { .. })));
    assert!(matches!(results[2], Err(PublishError::Disconnected(_))));
    assert!(results[3].is_ok() && results[4].is_ok());
    assert_eq!(waiting(&broker), ["confirm lost", "twice", "twice", "well"]);
}

#[tokio::test(start_paused = true)]
async fn delayed_and_overtaken_messages_come_later() {
    let (broker, _consumer) = broker().await;
    let began = tokio::time::Instant::now();
    broker.next_publishes([PublishFault::Delay(Duration::from_secs(5)), PublishFault::Reorder]);
    let (late, overtaken, next) = (message("late"), message("overtaken"), message("next"));
    let (first, second, third) = tokio::join!(
        broker.publish(&late),
        broker.publish(&overtaken),
        broker.publish(&next)
    );
    assert!(first.is_ok() && second.is_ok() && third.is_ok());
    assert_eq!(waiting(&broker), ["next", "overtaken", "late"]);
    assert!(began.elapsed() >= Duration::from_secs(5));
    broker.next_publishes([PublishFault::Reorder]);
    broker
        .publish(&message("with none to overtake it"))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_returns_unsettled_messages_in_order() {
    let (broker, mut consumer) = broker().await;
    for id in ["1", "2", "3"] {
        broker.publish(&message(id)).await.unwrap();
    }
    let (one, two) = (next(&mut consumer).await, next(&mut consumer).await);
    broker.lose_connection();
    assert_eq!(waiting(&broker), ["1", "2", "3"]);
    assert!(matches!(one.ack().await, Err(SettleError::Stale)));
    assert!(matches!(
        two.requeue(Duration::ZERO, true).await,
        Err(SettleError::Stale)
    ));
    assert!(matches!(
        consumer.receive().await,
        Some(Err(ChannelError::Disconnected(_)))
    ));
    assert!(consumer.receive().await.is_none());
    assert!(matches!(broker.status(), BrokerStatus::Disconnected { .. }));
    assert!(matches!(
        broker.publish(&message("4")).await,
        Err(PublishError::Disconnected(_))
    ));
    let channel = Channel::new("c", "t");
    assert!(matches!(
        broker.consume(&channel).await,
        Err(ChannelError::Disconnected(_))
    ));
    assert!(matches!(
        broker.depth(&channel).await,
        Err(ChannelError::Disconnected(_))
    ));

    broker.restore_connection();
    assert_eq!(broker.depth(&channel).await.unwrap(), Some(3));
    let mut consumer = broker.consume(&channel).await.unwrap();
    let again = next(&mut consumer).await;
    assert_eq!((id(&again), again.redeliveries()), ("1".into(), 1));
    again.ack().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_waits_learns_that_its_connection_is_lost() {
    let (broker, mut consumer) = broker().await;
    let (end, ()) = tokio::join!(consumer.receive(), async { broker.lose_connection() });
    assert!(matches!(end, Some(Err(ChannelError::Disconnected(_)))));
}

#[tokio::test(start_paused = true)]
async fn a_settling_that_fails_or_hangs_brings_the_message_again() {
    let (broker, mut consumer) = broker().await;
    broker.publish(&message("1")).await.unwrap();
    broker.next_settles([SettleFault::Fails, SettleFault::Hangs, SettleFault::Hangs]);
    let error = next(&mut consumer).await.ack().await.unwrap_err();
    assert!(matches!(error, SettleError::Other(_)), "{error:?}");
    let given_up = tokio::time::timeout(Duration::from_secs(60), next(&mut consumer).await.ack()).await;
    assert!(given_up.is_err());
    let hangs = next(&mut consumer).await;
    assert_eq!(hangs.redeliveries(), 2);
    let (settled, ()) = tokio::join!(hangs.ack(), async { broker.lose_connection() });
    assert!(matches!(settled, Err(SettleError::Stale)));
    assert_eq!(waiting(&broker), ["1"]);
}

#[tokio::test]
async fn a_behaviour_for_all_holds_until_changed() {
    let (broker, _consumer) = broker().await;
    broker.every_publish(Some(PublishFault::Refuse));
    broker.next_publishes([PublishFault::ConfirmLost]);
    assert!(broker.publish(&message("1")).await.is_err());
    for _ in 0..2 {
        assert!(broker.publish(&message("2")).await.is_err());
    }
    broker.every_publish(None);
    broker.publish(&message("3")).await.unwrap();
    assert_eq!(waiting(&broker), ["1", "3"]);
}
