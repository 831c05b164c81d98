//! Behaviours of an outbox that holds the keys of unique posts.

use std::time::Duration;

use futures_util::future::join_all;

use super::super::eventually;
use super::{
    LONG, SHORT, assert_due_in, assert_state, capability, claim_eventually, claim_oldest, claimed_ids,
    some_message,
};
use brighter_core::id::MessageId;
use brighter_core::message::{Message, MessageBody};
use brighter_core::outbox::{Outbox, OutboxError, UniqueDeposit, UniqueKey, UniquePosts};

/// The outcome of a message that was stored, and was not there before.
const NEW: UniqueDeposit = UniqueDeposit::Stored { is_new: true };

pub(crate) fn key(text: &str, window: Duration) -> UniqueKey {
    UniqueKey::new(&"Task.Reminder".into(), "TaskReminder", text, window).expect("a key")
}

async fn deposit(unique: &dyn UniquePosts, message: &Message, key: &UniqueKey) -> UniqueDeposit {
    let deposited = unique.deposit_unique(message, key, None, None).await;
    deposited.expect("deposit_unique")
}

/// Fails unless this message holds the key, for no longer than its window.
pub(crate) fn assert_held(deposited: UniqueDeposit, by: &MessageId, key: &UniqueKey) {
    match deposited {
        UniqueDeposit::Held { by: holder, left } => {
            assert_eq!(holder, *by);
            assert!(left <= key.window(), "{left:?}");
        }
        other => panic!("{other:?}"),
    }
}

/// Checks that a second message with a key is not stored, and is told the id of the first, also when that is dispatched.
pub async fn a_held_key_stores_no_other_message(outbox: &impl Outbox) {
    let unique = capability!(outbox, unique_posts);
    let (first, second, key) = (some_message(), some_message(), key("a", LONG));
    assert_eq!(deposit(unique, &first, &key).await, NEW);
    assert_held(deposit(unique, &second, &key).await, &first.header.id, &key);
    let claimed = claim_oldest(outbox, 10, LONG).await;
    assert_eq!(claimed_ids(&claimed), std::slice::from_ref(&first.header.id));
    outbox
        .mark_dispatched(std::slice::from_ref(&first.header.id))
        .await
        .expect("mark");
    assert_held(deposit(unique, &second, &key).await, &first.header.id, &key);
    assert_state(outbox, &second.header.id, None).await;
}

/// Checks that keys are apart by topic, type and text, with spaces, capitals and characters of any kind.
pub async fn keys_are_apart_by_topic_type_and_text(outbox: &impl Outbox) {
    let unique = capability!(outbox, unique_posts);
    let of = |topic: &str, event_type: &str, text: &str| {
        UniqueKey::new(&topic.into(), event_type, text, LONG).expect("a key")
    };
    let keys = [
        of("Task.Reminder", "TaskReminder", "a"),
        of("Task.Other", "TaskReminder", "a"),
        of("Task.Reminder", "TaskOther", "a"),
        of("Task.Reminder", "TaskReminder", "A"),
        of("Task.Reminder", "TaskReminder", "a "),
        of("Task.Reminder", "TaskReminder", "ä"),
        of("Task.Reminder", "TaskReminder", "a\0"),
        of("Task.Reminder", "TaskReminder", ""),
        of("Task.Reminder", "TaskReminder", &"x".repeat(1_400)),
    ];
    for key in &keys {
        assert_eq!(deposit(unique, &some_message(), key).await, NEW, "{key:?}");
    }
    for key in &keys {
        let again = deposit(unique, &some_message(), key).await;
        assert!(matches!(again, UniqueDeposit::Held { .. }), "{key:?}: {again:?}");
    }
}

/// Checks that a key is free again when its window is over, and is held anew from then on.
pub async fn a_key_is_free_when_its_window_is_over(outbox: &impl Outbox) {
    let unique = capability!(outbox, unique_posts);
    let (first, second) = (some_message(), some_message());
    assert_eq!(deposit(unique, &first, &key("a", SHORT)).await, NEW);
    let long = key("a", LONG);
    eventually("the end of the window", async || {
        (deposit(unique, &second, &long).await == NEW).then_some(())
    })
    .await;
    assert_held(
        deposit(unique, &some_message(), &long).await,
        &second.header.id,
        &long,
    );
}

/// Checks that a message that holds its key is known by its id, as any message, and keeps its first window.
pub async fn a_message_that_holds_its_key_is_stored_once(outbox: &impl Outbox) {
    let unique = capability!(outbox, unique_posts);
    let (message, key) = (some_message(), key("a", LONG));
    assert_eq!(deposit(unique, &message, &key).await, NEW);
    let again = UniqueDeposit::Stored { is_new: false };
    assert_eq!(deposit(unique, &message, &key).await, again);
    let mut other = message.clone();
    other.body = MessageBody::new("another");
    match unique.deposit_unique(&other, &key, None, None).await {
        Err(OutboxError::IdInUse { id }) => assert_eq!(id, message.header.id),
        other => panic!("{other:?}"),
    }
    // What was refused may still be rolled back just now, and its row is locked until then.
    let claimed = claim_eventually(outbox, "the message").await;
    assert_eq!(claimed_ids(&claimed), [message.header.id]);
}

/// Checks that a message that cannot be stored does not hold its key.
pub async fn what_is_not_stored_holds_no_key(outbox: &impl Outbox) {
    let unique = capability!(outbox, unique_posts);
    let known = some_message();
    outbox
        .deposit(std::slice::from_ref(&known), None)
        .await
        .expect("deposit");
    let mut other = known.clone();
    other.body = MessageBody::new("another");
    let key = key("a", LONG);
    let refused = unique.deposit_unique(&other, &key, None, None).await;
    assert!(matches!(refused, Err(OutboxError::IdInUse { .. })), "{refused:?}");
    assert_eq!(deposit(unique, &some_message(), &key).await, NEW);
}

/// Checks that of messages that are deposited at once with one key, one is stored, and all others are told its id.
pub async fn of_many_at_once_one_takes_the_key(outbox: &impl Outbox) {
    let unique = capability!(outbox, unique_posts);
    let key = key("a", LONG);
    let messages: Vec<_> = (0..8).map(|_| some_message()).collect();
    let deposits = join_all(messages.iter().map(|message| deposit(unique, message, &key))).await;
    let stored = deposits.iter().position(|deposited| *deposited == NEW);
    let stored = stored.expect("one that is stored");
    let id = messages[stored].header.id.clone();
    for (index, deposited) in deposits.into_iter().enumerate() {
        if index != stored {
            assert_held(deposited, &id, &key);
        }
    }
    assert_eq!(claimed_ids(&claim_oldest(outbox, 10, LONG).await), [id]);
}

/// Checks that a message with a key can be scheduled, and claimed from the start.
pub async fn a_message_with_a_key_is_scheduled_or_claimed(outbox: &impl Outbox) {
    let unique = capability!(outbox, unique_posts);
    let (claimed, key) = (some_message(), key("claimed", LONG));
    let deposited = unique.deposit_unique(&claimed, &key, None, Some(LONG)).await;
    assert_eq!(deposited.expect("deposit_unique"), NEW);
    assert!(claim_oldest(outbox, 10, LONG).await.is_empty());
    if outbox.scheduling().is_none() {
        return;
    }
    let (scheduled, key) = (some_message(), self::key("scheduled", LONG));
    let deposited = unique.deposit_unique(&scheduled, &key, Some(LONG), None).await;
    assert_eq!(deposited.expect("deposit_unique"), NEW);
    assert_due_in(outbox, &scheduled.header.id, |due_in| due_in > LONG / 2).await;
    assert_held(
        deposit(unique, &some_message(), &key).await,
        &scheduled.header.id,
        &key,
    );
}
