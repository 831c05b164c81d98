//! Behaviours of an outbox with claims.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{
    LONG, SHORT, capability, claim_eventually, claim_ids, claim_oldest, claimed_ids, deposit, ids,
    some_message, some_messages,
};
use crate::eventually;
use brighter_core::id::MessageId;
use brighter_core::outbox::{Claim, Failure, MessageState, Outbox};

/// Checks that claims return messages in the order of their deposits, not of their ids, and no more than requested.
pub async fn the_oldest_come_first_and_no_more_than_asked(outbox: &impl Outbox) {
    let mut messages = some_messages(5);
    messages.reverse();
    deposit(outbox, &messages[..2]).await;
    deposit(outbox, &messages[2..]).await;
    let expected = ids(&messages);
    assert_eq!(claimed_ids(&claim_oldest(outbox, 3, LONG).await), expected[..3]);
    assert_eq!(claimed_ids(&claim_oldest(outbox, 3, LONG).await), expected[3..]);
}

/// Checks that a message that is too young is not claimed, and is claimed once it is old enough.
pub async fn the_young_are_left(outbox: &impl Outbox) {
    deposit(outbox, &[some_message()]).await;
    let older_than = |min_age| Claim::oldest(10, min_age);
    let claimed = outbox.claim(older_than(LONG), LONG).await.expect("claim");
    assert!(claimed.is_empty(), "it is not that old");
    eventually("it is old enough", async || {
        outbox.claim(older_than(SHORT), LONG).await.expect("claim").pop()
    })
    .await;
}

/// Checks that a claimed message is not claimed again during the lease.
pub async fn what_is_claimed_is_not_claimed_again(outbox: &impl Outbox) {
    let messages = some_messages(2);
    deposit(outbox, &messages).await;
    assert_eq!(claim_oldest(outbox, 10, LONG).await.len(), 2);
    assert!(claim_oldest(outbox, 10, LONG).await.is_empty());
    assert!(claim_ids(outbox, &ids(&messages), LONG).await.is_empty());
}

/// Checks that a message that was not marked is claimed again after the lease, without counting a failure.
pub async fn a_claim_ends_with_its_lease(outbox: &impl Outbox) {
    deposit(outbox, &[some_message()]).await;
    assert_eq!(claim_oldest(outbox, 10, SHORT).await.len(), 1);
    let again = claim_eventually(outbox, "the lease ended").await;
    assert_eq!(again[0].attempts, 0);
}

/// Checks that messages deposited with a lease cannot be claimed by others until it ends.
pub async fn a_deposit_may_be_claimed_from_the_start(outbox: &impl Outbox) {
    let messages = some_messages(2);
    let (long, short) = (&messages[..1], &messages[1..]);
    outbox.deposit(long, Some(LONG)).await.expect("deposit");
    outbox.deposit(short, Some(SHORT)).await.expect("deposit");
    let claimed = claim_eventually(outbox, "the short lease ended").await;
    assert_eq!(claimed_ids(&claimed), ids(short));
    assert!(claim_ids(outbox, &ids(long), LONG).await.is_empty());
    outbox.release(&ids(long)).await.expect("release");
    assert_eq!(claimed_ids(&claim_oldest(outbox, 10, LONG).await), ids(long));
}

/// Checks that a claim by ids returns the messages that exist and are neither dispatched nor claimed, oldest first.
pub async fn ids_are_claimed_if_outstanding_and_free(outbox: &impl Outbox) {
    let messages = some_messages(5);
    let all = ids(&messages);
    deposit(outbox, &messages).await;
    outbox.mark_dispatched(&all[..1]).await.expect("mark dispatched");
    assert_eq!(claim_ids(outbox, &all[1..2], LONG).await.len(), 1);

    let asked = [&all[3], &MessageId::new(), &all[2], &all[1], &all[0], &all[2]].map(Clone::clone);
    assert_eq!(claimed_ids(&claim_ids(outbox, &asked, LONG).await), all[2..4]);
    assert_eq!(claimed_ids(&claim_oldest(outbox, 10, LONG).await), all[4..]);
}

/// Checks that a dispatched message cannot be claimed again: by age, by id, after a late failure or release, or after
/// another deposit.
pub async fn what_is_dispatched_is_never_claimed_again(outbox: &impl Outbox) {
    let messages = some_messages(2);
    let all = ids(&messages);
    deposit(outbox, &messages).await;
    claim_oldest(outbox, 1, SHORT).await;
    outbox.mark_dispatched(&all).await.expect("mark dispatched");
    outbox.mark_dispatched(&all).await.expect("mark dispatched again");
    let late = Failure::new(all[0].clone(), "late", Duration::ZERO);
    outbox.mark_failed(&[late]).await.expect("mark failed");
    outbox.release(&all).await.expect("release");
    deposit(outbox, &messages).await;
    assert!(claim_oldest(outbox, 10, LONG).await.is_empty());
    assert!(claim_ids(outbox, &all, LONG).await.is_empty());
    assert_eq!(outbox.status().await.expect("status").outstanding, 0);
}

/// Checks that a failure is counted and ends the claim. Until the message is due, a claim by age leaves it out, and a
/// claim by id returns it at once.
pub async fn a_failure_is_counted_and_left_alone(outbox: &impl Outbox) {
    let messages = some_messages(2);
    let all = ids(&messages);
    deposit(outbox, &messages).await;
    claim_oldest(outbox, 10, LONG).await;
    let fail = async |id: &MessageId, retry_delay| {
        let failure = Failure::new(id.clone(), "no route: \"ünï\0\"", retry_delay);
        outbox.mark_failed(&[failure]).await.expect("mark failed");
    };
    fail(&all[0], LONG).await;
    fail(&all[1], SHORT).await;
    let due = claim_eventually(outbox, "the second message is due").await;
    assert_eq!(claimed_ids(&due), all[1..], "the first message is not due");
    assert_eq!(due[0].attempts, 1);

    fail(&all[1], Duration::ZERO).await;
    assert_eq!(claim_eventually(outbox, "it is due at once").await[0].attempts, 2);

    let asked = claim_ids(outbox, &all[..1], LONG).await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].attempts, 1);
}

/// Checks the states of a message: outstanding with the last error, then dispatched, and `None` for an unknown message.
pub async fn state_tells_how_far_a_message_has_come(outbox: &impl Outbox) {
    let messages = some_messages(2);
    let all = ids(&messages);
    deposit(outbox, &messages).await;
    let inspection = capability!(outbox, inspection);
    let state = async |id: &MessageId| inspection.state(id).await.expect("state");
    assert_eq!(state(&all[0]).await, Some(MessageState::outstanding(0, None)));
    for (attempts, reason) in [(1, "no route: \"ünï\""), (2, "still none")] {
        let failure = Failure::new(all[0].clone(), reason, Duration::ZERO);
        outbox.mark_failed(&[failure]).await.expect("mark failed");
        let expected = MessageState::outstanding(attempts, Some(reason.to_owned()));
        assert_eq!(state(&all[0]).await, Some(expected));
    }
    outbox.mark_dispatched(&all[..1]).await.expect("mark dispatched");
    assert_eq!(state(&all[0]).await, Some(MessageState::Dispatched));
    assert_eq!(state(&all[1]).await, Some(MessageState::outstanding(0, None)));
    assert_eq!(state(&MessageId::new()).await, None);
}

/// Checks that a released message can be claimed at once, without counting a failure.
pub async fn what_is_released_is_claimable_at_once(outbox: &impl Outbox) {
    let messages = some_messages(3);
    let all = ids(&messages);
    deposit(outbox, &messages).await;
    claim_oldest(outbox, 10, LONG).await;
    outbox.release(&all[1..]).await.expect("release");
    let claimed = claim_oldest(outbox, 10, LONG).await;
    assert_eq!(claimed_ids(&claimed), all[1..]);
    assert_eq!(claimed[0].attempts, 0);
}

/// Checks that a time beyond every clock means forever, and that the largest limit means all.
pub async fn the_longest_times_are_no_mistake(outbox: &impl Outbox) {
    let messages = some_messages(3);
    let all = ids(&messages);
    outbox
        .deposit(&messages[..1], Some(Duration::MAX))
        .await
        .expect("deposit");
    deposit(outbox, &messages[1..]).await;
    let ancient = Claim::oldest(usize::MAX, Duration::MAX);
    assert!(outbox.claim(ancient, LONG).await.expect("claim").is_empty());
    assert_eq!(
        claimed_ids(&claim_oldest(outbox, usize::MAX, Duration::MAX).await),
        all[1..]
    );
    let failure = Failure::new(all[1].clone(), "no", Duration::MAX);
    outbox.mark_failed(&[failure]).await.expect("mark failed");
    assert!(claim_oldest(outbox, usize::MAX, LONG).await.is_empty());
}

/// Checks that two concurrent claimants together get every message, and none twice.
pub async fn two_claimers_share_and_never_overlap(outbox: &impl Outbox) {
    let messages = some_messages(1_000);
    deposit(outbox, &messages).await;
    let claimer = async || {
        let mut mine = Vec::new();
        loop {
            let claimed = claimed_ids(&claim_oldest(outbox, 7, LONG).await);
            if claimed.is_empty() {
                return mine;
            }
            outbox.mark_dispatched(&claimed).await.expect("mark dispatched");
            mine.extend(claimed);
            tokio::task::yield_now().await;
        }
    };
    let (first, second) = tokio::join!(claimer(), claimer());
    assert_eq!(first.len() + second.len(), messages.len());
    let both: BTreeSet<MessageId> = first.into_iter().chain(second).collect();
    assert_eq!(both, ids(&messages).into_iter().collect());
}
