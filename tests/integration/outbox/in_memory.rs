//! What is special to the outbox in memory.

use std::time::Duration;

use brighter::message::Message;
use brighter::outbox::{Claim, Failure, Inspection, MessageState, Outbox, OutboxError, OutboxTransaction};
use brighter::testing::outbox::some_message;
use brighter::{InMemoryOutbox, MessageId};

const ALL: Claim<'static> = Claim::oldest(usize::MAX, Duration::ZERO);

fn messages(count: usize) -> Vec<Message> {
    (0..count).map(|_| some_message()).collect()
}

fn ids(messages: &[Message]) -> Vec<MessageId> {
    messages.iter().map(|message| message.header.id.clone()).collect()
}

#[tokio::test]
async fn deposits_beyond_the_limit_are_refused_whole() {
    let outbox = InMemoryOutbox::new().limit(3);
    let messages = messages(5);
    outbox.deposit(&messages[..2], None).await.unwrap();
    let full = outbox.deposit(&messages[2..4], None).await;
    assert!(matches!(full, Err(OutboxError::Full(_))), "{full:?}");
    let mut transaction = outbox.begin();
    transaction.deposit(&outbox, &messages[2..4]).await.unwrap();
    let full = transaction.commit();
    assert!(matches!(full, Err(OutboxError::Full(_))), "{full:?}");
    assert_eq!(outbox.status().await.unwrap().outstanding, 2);

    // What is there already takes no room, and what is dispatched gives it back.
    outbox.deposit(&messages[..3], None).await.unwrap();
    outbox.mark_dispatched(&ids(&messages[..2])).await.unwrap();
    outbox.deposit(&messages[3..], None).await.unwrap();
    assert_eq!(outbox.status().await.unwrap().outstanding, 3);
}

#[tokio::test]
async fn the_oldest_dispatched_are_forgotten() {
    let outbox = InMemoryOutbox::new();
    let messages = messages(10_001);
    outbox.deposit(&messages, None).await.unwrap();
    outbox.mark_dispatched(&ids(&messages)).await.unwrap();
    assert_eq!(outbox.get(&ids(&messages)).await.unwrap(), messages[1..]);
}

#[tokio::test]
async fn a_clone_is_the_same_and_another_is_not() {
    let outbox = InMemoryOutbox::new();
    let mut transaction = outbox.begin();
    transaction.deposit(&outbox.clone(), &messages(1)).await.unwrap();
    let mixed_up = transaction.deposit(&InMemoryOutbox::new(), &messages(1)).await;
    assert!(matches!(mixed_up, Err(OutboxError::Other(_))), "{mixed_up:?}");
    transaction.commit().unwrap();
    assert_eq!(outbox.clone().status().await.unwrap().outstanding, 1);
}

#[tokio::test(start_paused = true)]
async fn its_clock_is_that_of_tokio() {
    const MINUTE: Duration = Duration::from_secs(60);
    let outbox = InMemoryOutbox::new();
    outbox.deposit(&messages(1), None).await.unwrap();
    let claimed = outbox.claim(ALL, MINUTE).await.unwrap();
    tokio::time::advance(MINUTE - Duration::from_millis(1)).await;
    assert!(outbox.claim(ALL, MINUTE).await.unwrap().is_empty());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(outbox.claim(ALL, MINUTE).await.unwrap().len(), 1);
    assert_eq!(outbox.status().await.unwrap().oldest, Some(MINUTE));

    let id = claimed[0].message.header.id.clone();
    let failure = Failure::new(id.clone(), "é".repeat(5_000), MINUTE);
    outbox.mark_failed(&[failure]).await.unwrap();
    let expected = MessageState::outstanding(1, Some("é".repeat(2_000)));
    assert_eq!(outbox.state(&id).await.unwrap(), Some(expected));
    assert!(outbox.claim(ALL, MINUTE).await.unwrap().is_empty());
    tokio::time::advance(MINUTE).await;
    assert_eq!(outbox.claim(ALL, MINUTE).await.unwrap().len(), 1);
}

#[tokio::test]
async fn depositing_in_a_loop_lets_others_run() {
    let other = tokio::spawn(async {});
    let outbox = InMemoryOutbox::new();
    while !other.is_finished() {
        outbox.deposit(&messages(1), None).await.unwrap();
        let deposited = outbox.status().await.unwrap().outstanding;
        assert!(deposited < 1_000, "of one thread, the other has not had a turn");
    }
}
