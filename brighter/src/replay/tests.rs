#![allow(clippy::unwrap_used, reason = "a test says by a panic what is wrong")]

use super::*;
use crate::in_memory::broker::InMemoryBroker;
use brighter_core::channel::{Broker, Producer, Rejection, RejectionKind};
use brighter_core::message::{MessageBody, MessageHeader, MessageType};

const TOPIC: &str = "Task.Reminder";

fn channel() -> Channel {
    Channel::new("reminders", TOPIC)
}

/// A broker with so many dead letters, the even ones for want of stock.
async fn dead_letters(count: usize) -> InMemoryBroker {
    let broker = InMemoryBroker::new();
    let mut channel = channel();
    channel.buffer = NonZeroU16::MAX;
    let mut consumer = broker.consume(&channel).await.unwrap();
    for number in 0..count {
        let mut header = MessageHeader::new(number.to_string().into(), TOPIC, MessageType::Command);
        header.handled_count = 4;
        header.bag.insert("tenant", "north");
        broker
            .publish(&Message::new(header, MessageBody::new("{}")))
            .await
            .unwrap();
        let delivery = consumer.receive().await.unwrap().unwrap();
        let reason = if number % 2 == 0 {
            "no stock"
        } else {
            "no customer"
        };
        delivery
            .reject(Rejection::new(RejectionKind::DeadLetter, reason))
            .await
            .unwrap();
    }
    broker
}

fn is_out_of_stock(letter: &DeadLetter<'_>) -> bool {
    letter.rejected.as_ref().unwrap().rejection.reason == "no stock"
}

fn ids(broker: &InMemoryBroker, channel: &ChannelName) -> Vec<String> {
    let messages = broker.messages(channel.clone());
    messages
        .iter()
        .map(|message| message.header.id.to_string())
        .collect()
}

fn every_other(from: usize, count: usize) -> Vec<String> {
    (from..count)
        .step_by(2)
        .map(|number| number.to_string())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn selected_dead_letters_return_as_new_and_others_stay() {
    let broker = dead_letters(6).await;
    let before = broker.messages("reminders.dlq");
    let replay = Replay::new("stock has come", &channel());
    let replayed = replay.run(&broker, is_out_of_stock).await.unwrap();
    assert_eq!((replayed.replayed, replayed.left, replayed.unseen), (3, 3, 0));
    let back = broker.messages("reminders");
    assert_eq!(ids(&broker, &"reminders".into()), every_other(0, 6));
    for message in &back {
        assert_eq!(message.header.handled_count, 0);
        assert_eq!(Rejection::read(&message.header), None);
        let names: Vec<_> = message
            .header
            .bag
            .iter()
            .map(|(name, _)| name.to_owned())
            .collect();
        assert_eq!(names, ["replayedBy", "tenant"]);
    }
    let stay: Vec<_> = before.into_iter().skip(1).step_by(2).collect();
    assert_eq!(broker.messages("reminders.dlq"), stay);
}

#[tokio::test(start_paused = true)]
async fn only_another_replay_name_sends_a_message_again() {
    let broker = dead_letters(1).await;
    let mut consumer = broker.consume(&channel()).await.unwrap();
    for (name, times) in [("first", 1), ("first", 0), ("second", 1)] {
        let replay = Replay::new(name, &channel());
        let replayed = replay.run(&broker, |_| true).await.unwrap();
        assert_eq!(
            (replayed.replayed, replayed.came_back),
            (times, 1 - times),
            "{name}"
        );
        if times == 1 {
            let delivery = consumer.receive().await.unwrap().unwrap();
            delivery
                .reject(Rejection::new(RejectionKind::DeadLetter, "again"))
                .await
                .unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_replay_visits_many_dead_letters_once() {
    let count = 3 * HELD;
    let broker = dead_letters(count).await;
    let mut seen = 0;
    let replay = Replay::new("stock has come", &channel());
    let replayed = replay
        .run(&broker, |letter| {
            seen += 1;
            is_out_of_stock(letter)
        })
        .await
        .unwrap();
    assert_eq!(seen, count);
    let half = count as u64 / 2;
    assert_eq!(
        (replayed.replayed, replayed.left, replayed.unseen),
        (half, half, 0)
    );
    assert_eq!(ids(&broker, &"reminders".into()), every_other(0, count));
    let mut left = ids(&broker, &"reminders.dlq".into());
    left.sort_by_key(|id| id.parse::<usize>().unwrap());
    assert_eq!(left, every_other(1, count));
}

#[tokio::test(start_paused = true)]
async fn without_a_channel_to_go_to_they_stay() {
    let broker = dead_letters(2).await;
    let mut other = channel();
    other.name = "nowhere".into();
    let failed = Replay::new("astray", &other).run(&broker, |_| true).await;
    let error = failed.unwrap_err();
    assert!(matches!(error, ReplayError::NotMoved { .. }), "{error:?}");
    assert_eq!(broker.messages("reminders.dlq").len(), 2);
    let nameless = Replay::new("", &channel()).run(&broker, |_| true).await;
    assert!(matches!(nameless, Err(ReplayError::Name(_))), "{nameless:?}");
}

#[tokio::test(start_paused = true)]
async fn invalid_messages_can_be_replayed_too() {
    let broker = InMemoryBroker::new();
    let mut consumer = broker.consume(&channel()).await.unwrap();
    let header = MessageHeader::new("1".into(), TOPIC, MessageType::Command);
    broker
        .publish(&Message::new(header, MessageBody::new("no JSON")))
        .await
        .unwrap();
    let delivery = consumer.receive().await.unwrap().unwrap();
    delivery
        .reject(Rejection::new(RejectionKind::Invalid, "no JSON"))
        .await
        .unwrap();
    let replay = Replay::new("mended", &channel()).of_invalid_messages();
    assert_eq!(replay.run(&broker, |_| true).await.unwrap().replayed, 1);
    assert_eq!(
        consumer
            .receive()
            .await
            .unwrap()
            .unwrap()
            .message()
            .unwrap()
            .body
            .as_bytes(),
        b"no JSON"
    );
}
