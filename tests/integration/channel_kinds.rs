//! A channel for dead letters is another kind of channel than one that is consumed, on every broker.

use brighter::channel::{Broker, Channel, ChannelError};
use brighter::{InMemoryBroker, SqliteBroker};
use brighter_tests::rabbitmq::Corner;

fn reason(refused: Result<(), ChannelError>) -> String {
    match refused {
        Err(ChannelError::Refused { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

/// What was made for the dead letters of others is not declared with dead letters of its own, and the other way round.
async fn the_kinds_are_told_apart(broker: impl Broker, channel: impl Fn(&str) -> Channel) {
    let orders = channel("orders");
    broker.declare(&orders).await.unwrap();
    for beside in [&orders.dead_letters, &orders.invalid_messages] {
        let mut anew = channel("orders");
        anew.name = beside.clone();
        anew.dead_letters = format!("{beside}.dlq").into();
        anew.invalid_messages = format!("{beside}.invalid").into();
        let refused = reason(broker.declare(&anew).await);
        assert!(refused.contains("Channel::existing"), "{refused}");
        let refused = reason(broker.consume(&anew).await.map(drop));
        assert!(refused.contains("DeclareMode::Assume"), "{refused}");
        broker
            .consume(&Channel::existing(beside.clone()))
            .await
            .unwrap()
            .close()
            .await
            .unwrap();
    }
    let mut into_orders = channel("returns");
    into_orders.dead_letters = orders.name.clone();
    let refused = reason(broker.declare(&into_orders).await);
    assert!(refused.contains(orders.name.as_str()), "{refused}");
    // Declared again as what they are, they are the same.
    broker.declare(&orders).await.unwrap();
    let mut shared = channel("shared");
    shared.dead_letters = orders.dead_letters.clone();
    broker.declare(&shared).await.unwrap();
    broker.close().await;
}

fn plain(name: &str) -> Channel {
    Channel::new(name, "topic")
}

#[tokio::test]
async fn in_memory_the_kinds_are_told_apart() {
    the_kinds_are_told_apart(InMemoryBroker::new(), plain).await;
}

#[tokio::test]
async fn in_a_file_the_kinds_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let broker = SqliteBroker::open(folder.path().join("broker.db")).await.unwrap();
    the_kinds_are_told_apart(broker, plain).await;
}

#[tokio::test]
async fn on_rabbitmq_the_kinds_are_told_apart() {
    let corner = Corner::new();
    the_kinds_are_told_apart(corner.connect().await, |name| corner.channel(name, "topic")).await;
}

/// Nothing is beside it that would be longer than a name may be.
#[tokio::test]
async fn a_channel_with_the_longest_name_is_opened() {
    let broker = InMemoryBroker::new();
    let mut longest = plain("orders");
    longest.dead_letters = "d".repeat(255).into();
    broker.declare(&longest).await.unwrap();
    broker
        .consume(&Channel::existing(longest.dead_letters))
        .await
        .unwrap();
}
