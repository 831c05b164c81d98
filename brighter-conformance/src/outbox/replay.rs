//! Behaviours of an outbox with messages that are sent again after a duplicate of their cause.

use super::{
    LONG, assert_read, capability, claim_ids, claim_oldest, claimed_ids, deposit, ids, not_applicable,
    some_message, some_messages,
};
use brighter_core::id::MessageId;
use brighter_core::message::Message;
use brighter_core::outbox::{Claimed, Failure, Outbox, OutboxError, Resending};

/// Returns messages that the handling of this message posted.
fn caused_by(cause: &MessageId, count: usize) -> Vec<Message> {
    let mut messages = some_messages(count);
    for message in &mut messages {
        message.header.causation_id = Some(cause.clone());
    }
    messages
}

async fn replay(resending: &dyn Resending, cause: &MessageId) -> u64 {
    resending.replay(cause).await.expect("replay")
}

fn messages(claimed: Vec<Claimed>) -> Vec<Message> {
    claimed.into_iter().map(|it| it.message).collect()
}

/// Checks that all messages of a cause are replayed in their order, at each call, and no others.
pub async fn what_was_dispatched_is_replayed_by_its_cause(outbox: &impl Outbox) {
    let resending = capability!(outbox, resending);
    for cause in ["cause", "'; DROP TABLE messages; --", ""].map(MessageId::from) {
        let (caused, others) = (caused_by(&cause, 2), caused_by(&MessageId::new(), 1));
        let all = [&caused[..1], &others, &[some_message()], &caused[1..]].concat();
        deposit(outbox, &all).await;
        for _ in 0..2 {
            outbox.mark_dispatched(&ids(&all)).await.expect("mark dispatched");
            assert_eq!(replay(resending, &cause).await, 2);
            assert_eq!(outbox.status().await.expect("status").outstanding, 2);
            assert_eq!(messages(claim_oldest(outbox, 10, LONG).await), caused);
        }
        outbox.mark_dispatched(&ids(&all)).await.expect("mark dispatched");
        assert_read(outbox, &ids(&caused), &caused).await;
    }
    assert_eq!(replay(resending, &MessageId::new()).await, 0);
}

/// Checks that an outstanding message is not replayed, and keeps its claim.
pub async fn what_is_outstanding_is_not_replayed(outbox: &impl Outbox) {
    let resending = capability!(outbox, resending);
    let cause = MessageId::new();
    let caused = caused_by(&cause, 3);
    let all = ids(&caused);
    deposit(outbox, &caused).await;
    outbox.mark_dispatched(&all[..1]).await.expect("mark dispatched");
    assert_eq!(claim_ids(outbox, &all[1..2], LONG).await.len(), 1);
    assert_eq!(replay(resending, &cause).await, 1);
    assert_eq!(replay(resending, &cause).await, 0);
    let mut claimed = claimed_ids(&claim_oldest(outbox, 10, LONG).await);
    claimed.sort_unstable();
    let mut expected = vec![all[0].clone(), all[2].clone()];
    expected.sort_unstable();
    assert_eq!(claimed, expected);
}

/// Checks that outstanding messages are found by their cause, claimed or failed, and dispatched ones are not. An outbox
/// without this look-up passes.
pub async fn what_is_outstanding_is_found_by_its_cause(outbox: &impl Outbox) {
    let inspection = capability!(outbox, inspection);
    for cause in ["cause", "'; DROP TABLE messages; --", ""].map(MessageId::from) {
        let found = async |limit| match inspection.outstanding_of(&cause, limit).await {
            Err(OutboxError::Unsupported(_)) => None,
            found => {
                let mut found = found.expect("those of a cause");
                found.sort_unstable();
                Some(found)
            }
        };
        let Some(nothing) = found(10).await else {
            return not_applicable("outstanding_of");
        };
        assert_eq!(nothing, []);
        let (caused, others) = (caused_by(&cause, 4), caused_by(&MessageId::new(), 1));
        let all = ids(&caused);
        deposit(outbox, &[&caused[..], &others, &[some_message()]].concat()).await;
        outbox.mark_dispatched(&all[..1]).await.expect("mark dispatched");
        assert_eq!(claim_ids(outbox, &all[1..2], LONG).await.len(), 1);
        let failure = Failure::new(all[2].clone(), "no", LONG);
        outbox.mark_failed(&[failure]).await.expect("mark failed");
        let mut expected = all[1..].to_vec();
        expected.sort_unstable();
        assert_eq!(found(10).await, Some(expected));
        assert_eq!(found(2).await.map(|found| found.len()), Some(2));
        let last = Failure::new(all[3].clone(), "no", LONG).last();
        outbox.mark_failed(&[last]).await.expect("mark failed");
        outbox.mark_dispatched(&all[1..3]).await.expect("mark dispatched");
        assert_eq!(found(10).await, Some(Vec::new()));
    }
}

/// Checks that a replay resets the failures of a message.
pub async fn a_failure_is_forgotten_by_a_replay(outbox: &impl Outbox) {
    let resending = capability!(outbox, resending);
    let cause = MessageId::new();
    let caused = caused_by(&cause, 1);
    let all = ids(&caused);
    deposit(outbox, &caused).await;
    let failure = Failure::new(all[0].clone(), "no", LONG);
    outbox.mark_failed(&[failure]).await.expect("mark failed");
    outbox.mark_dispatched(&all).await.expect("mark dispatched");
    assert_eq!(replay(resending, &cause).await, 1);
    let claimed = claim_oldest(outbox, 10, LONG).await;
    assert_eq!(claimed_ids(&claimed), all);
    assert_eq!(claimed[0].attempts, 0);
}
