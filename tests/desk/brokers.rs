//! Every broker sends a message to one channel alone, and brings it back as it was.

use std::sync::Arc;

use brighter::channel::{Broker, Channel, PublishError, Rejection, RejectionKind};
use brighter::desk::{Desk, InMemoryDesk, NewDeskMessage};
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::{InMemoryBroker, Message, MessageId, SqliteBroker};
use brighter_tests::rabbitmq::Corner;
use brighter_tests::wait::deadline;
use tokio::time::timeout;

use super::{rows, shared};

/// Sends a message of hostile bytes to one of two channels with the same topic; it dies, and has the same key after
/// another way through the broker.
async fn one_channel_gets_it_as_it_is(broker: Arc<dyn Broker>, channel: Channel, other: Channel) {
    broker.declare(&other).await.unwrap();
    let mut consumer = broker.consume(&channel).await.unwrap();
    let mut header = MessageHeader::new(
        MessageId::new(),
        channel.routing_keys[0].clone(),
        MessageType::Event,
    );
    header.bag.insert("script", "<script>\u{202e}\u{1b}[31m");
    header.bag.insert("number", -1);
    header.bag.insert("float", 0.5);
    header.bag.insert("truth", true);
    header.correlation_id = Some(MessageId::new());
    let message = Message::new(header, MessageBody::new(b"\0\xff\xfe<b>\x1b[31m".to_vec()));
    broker.send_to(&channel.name, &message).await.unwrap();
    let desk = Desk::new(Arc::clone(&broker), Arc::new(InMemoryDesk::new())).channel(&channel);
    let mut keys = Vec::new();
    for death in 0..2 {
        let delivery = timeout(deadline(), consumer.receive()).await;
        let delivery = delivery.expect("in time").expect("not closed").expect("not lost");
        assert_eq!(delivery.message().unwrap().body, message.body);
        let rejection = Rejection::new(RejectionKind::DeadLetter, format!("no {death}"));
        delivery.reject(rejection).await.unwrap();
        let taken = desk.take_waiting().await.unwrap();
        assert_eq!((taken.new, taken.again), (1 - death, death));
        let all = rows(desk.store(), "").await;
        assert_eq!(all.len(), 1);
        let kept = desk.store().read(all[0]).await.unwrap().unwrap();
        let new = NewDeskMessage::new(
            kept.message.clone(),
            channel.dead_letters.clone(),
            None,
            RejectionKind::DeadLetter,
        );
        keys.push(new.unwrap().key);
        let anew = kept.anew(&brighter::desk::OperationId::new());
        broker.send_to(&channel.name, &anew).await.unwrap();
    }
    assert_eq!(keys[0], keys[1]);
    assert_eq!(
        broker.depth(&other).await.unwrap(),
        Some(0),
        "the other one wants the topic too"
    );
    let gone = format!("{}.gone", channel.name).into();
    let error = broker.send_to(&gone, &message).await.unwrap_err();
    assert!(matches!(error, PublishError::Unroutable { .. }), "{error:?}");
    broker.close().await;
}

#[tokio::test]
async fn in_memory_one_channel_gets_it_as_it_is() {
    let other = Channel::new("other", "topic");
    one_channel_gets_it_as_it_is(shared(InMemoryBroker::new()), Channel::new("c", "topic"), other).await;
}

#[tokio::test]
async fn in_a_file_one_channel_gets_it_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let broker = SqliteBroker::open(folder.path().join("broker.db")).await.unwrap();
    let other = Channel::new("other", "topic");
    one_channel_gets_it_as_it_is(shared(broker), Channel::new("c", "topic"), other).await;
}

#[tokio::test]
async fn on_rabbitmq_one_channel_gets_it_as_it_is() {
    let corner = Corner::new();
    let (channel, other) = (corner.channel("desk", "topic"), corner.channel("other", "topic"));
    one_channel_gets_it_as_it_is(shared(corner.connect().await), channel, other).await;
}
