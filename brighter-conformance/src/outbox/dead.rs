//! Behaviours of an outbox with dead messages.

use super::{
    LONG, assert_dead, assert_read, assert_state, capability, claim_ids, claim_oldest, claimed_ids, deposit,
    ids, some_message, some_messages,
};
use brighter_core::id::MessageId;
use brighter_core::outbox::{DeadMessage, Failure, MessageState, Outbox};

async fn bury(outbox: &impl Outbox, id: &MessageId, reason: &str) {
    let failure = Failure::new(id.clone(), reason, LONG).last();
    outbox.mark_failed(&[failure]).await.expect("mark failed");
}

/// Checks that a message is no longer outstanding or claimed after its last failure, and can still be read.
pub async fn the_last_failure_is_the_end(outbox: &impl Outbox) {
    let message = some_message();
    let id = message.header.id.clone();
    deposit(outbox, std::slice::from_ref(&message)).await;
    let failure = Failure::new(id.clone(), "first", std::time::Duration::ZERO);
    outbox.mark_failed(&[failure]).await.expect("mark failed");
    assert_dead(outbox, &[]).await;
    bury(outbox, &id, "last").await;

    assert!(claim_oldest(outbox, 10, LONG).await.is_empty());
    assert!(
        claim_ids(outbox, std::slice::from_ref(&id), LONG)
            .await
            .is_empty()
    );
    let status = outbox.status().await.expect("status");
    assert_eq!((status.outstanding, status.oldest, status.dead), (0, None, 1));
    assert_state(outbox, &id, Some(MessageState::dead(2, Some("last".into())))).await;
    assert_read(outbox, std::slice::from_ref(&id), std::slice::from_ref(&message)).await;
    let known = outbox.deposit(&[message], None).await.expect("deposit");
    assert_eq!(known, [id]);
}

/// Checks that dead messages are listed oldest first, up to the limit.
pub async fn the_dead_are_listed_oldest_first(outbox: &impl Outbox) {
    let dead_messages = capability!(outbox, dead_messages);
    let dead = async |limit| dead_messages.dead(limit).await.expect("dead");
    let messages = some_messages(4);
    let all = ids(&messages);
    deposit(outbox, &messages).await;
    for number in [2, 0, 3] {
        bury(outbox, &all[number], &format!("reason {number}")).await;
    }
    let listed = dead(10).await;
    let expected = [0, 2, 3].map(|number: usize| {
        let topic = messages[number].header.topic.clone();
        DeadMessage::new(all[number].clone(), topic, 1, format!("reason {number}"))
    });
    assert_eq!(listed, expected);
    assert_eq!(dead(2).await, expected[..2]);
    assert!(dead(0).await.is_empty());
}

/// Checks that a revived message is due at once, in its old position, without failures, and that other messages are
/// unchanged.
pub async fn a_revived_message_is_as_new(outbox: &impl Outbox) {
    let dead_messages = capability!(outbox, dead_messages);
    let messages = some_messages(3);
    let all = ids(&messages);
    deposit(outbox, &messages).await;
    bury(outbox, &all[1], "no").await;
    outbox.mark_dispatched(&all[2..]).await.expect("mark dispatched");
    let unknown = MessageId::new();
    let wanted: Vec<_> = all.iter().chain([&unknown]).cloned().collect();
    assert_eq!(dead_messages.revive(&wanted).await.expect("revive"), 1);
    assert_eq!(dead_messages.revive(&wanted).await.expect("revive"), 0);
    assert_eq!(dead_messages.revive(&[]).await.expect("revive"), 0);
    assert_dead(outbox, &[]).await;
    assert_state(outbox, &all[1], Some(MessageState::outstanding(0, None))).await;
    let claimed = claim_oldest(outbox, 10, LONG).await;
    assert_eq!(claimed_ids(&claimed), all[..2]);
    assert_eq!(claimed[1].attempts, 0);
}

/// Checks that one call stores many messages in their order, with some that exist already and one that occurs twice.
pub async fn many_are_stored_at_once_whatever_is_there(outbox: &impl Outbox) {
    let mut messages = some_messages(200);
    deposit(outbox, &messages[100..103]).await;
    messages.push(messages[0].clone());
    let known = outbox.deposit(&messages, None).await.expect("deposit");
    let expected: Vec<MessageId> = ids(&messages[100..103])
        .into_iter()
        .chain(ids(&messages[200..]))
        .collect();
    assert_eq!(known, expected);
    messages.pop();
    assert_read(outbox, &ids(&messages), &messages).await;
    let claimed = claimed_ids(&claim_oldest(outbox, 1_000, LONG).await);
    let mut in_order = ids(&messages[100..103]);
    in_order.extend(ids(&messages[..100]));
    in_order.extend(ids(&messages[103..]));
    assert_eq!(claimed, in_order);
}
