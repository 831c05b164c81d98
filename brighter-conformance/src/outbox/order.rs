//! Behaviours of an outbox with topics and their order.

use std::time::Duration;

use super::{LONG, SHORT, claim_ids, claim_oldest, claimed_ids, deposit, ids, some_messages};
use crate::eventually;
use brighter_core::id::MessageId;
use brighter_core::message::{Message, RoutingKey};
use brighter_core::outbox::{Claim, Failure, Outbox};

/// Returns one message for each of these topics.
fn of_topics(topics: &[&str]) -> Vec<Message> {
    let mut messages = some_messages(topics.len());
    for (message, topic) in messages.iter_mut().zip(topics) {
        message.header.topic = (*topic).into();
    }
    messages
}

async fn next(outbox: &impl Outbox, topic: &str, limit: usize, lease: Duration) -> Vec<MessageId> {
    let (topic, min_age) = (&RoutingKey::from(topic), Duration::ZERO);
    let claimed = outbox
        .claim(
            Claim::InOrder {
                topic,
                limit,
                min_age,
            },
            lease,
        )
        .await;
    claimed_ids(&claimed.expect("claim in order"))
}

/// Checks that topics can be left out of claims by age and by ids, and that a topic is claimed by its exact name.
pub async fn topics_are_left_out_or_claimed_alone(outbox: &impl Outbox) {
    let odd = "'; DROP TABLE messages; -- \"ünï\"";
    let messages = of_topics(&["a", odd, "A", "a", "b"]);
    let all = ids(&messages);
    deposit(outbox, &messages).await;
    let min_age = Duration::ZERO;
    let except = &["a".into(), odd.into(), "none".into()];
    let oldest = Claim::Oldest {
        limit: 10,
        min_age,
        except,
    };
    let claimed = outbox.claim(oldest, LONG).await.expect("claim");
    assert_eq!(claimed_ids(&claimed), [all[2].clone(), all[4].clone()]);
    outbox.release(&all).await.expect("release");

    let of_ids = Claim::Ids { ids: &all, except };
    let claimed = outbox.claim(of_ids, LONG).await.expect("claim");
    assert_eq!(claimed_ids(&claimed), [all[2].clone(), all[4].clone()]);

    for (topic, expected) in [("a", [0, 3].as_slice()), (odd, &[1]), ("A", &[]), ("c", &[])] {
        let topic = &RoutingKey::from(topic);
        let one = Claim::OfTopic {
            topic,
            limit: 10,
            min_age,
        };
        let claimed = outbox.claim(one, LONG).await.expect("claim");
        let expected: Vec<_> = expected.iter().map(|index| all[*index].clone()).collect();
        assert_eq!(claimed_ids(&claimed), expected, "{topic}");
    }
}

/// Checks that no message is claimed while the one before it in the topic is claimed, and that other topics are
/// independent.
pub async fn in_order_nothing_is_claimed_before_what_goes_before_it(outbox: &impl Outbox) {
    let messages = of_topics(&["a", "a", "b", "a", "a"]);
    let all = ids(&messages);
    deposit(outbox, &messages).await;
    assert_eq!(next(outbox, "a", 2, LONG).await, [all[0].clone(), all[1].clone()]);
    assert!(next(outbox, "a", 10, LONG).await.is_empty());
    outbox.mark_dispatched(&all[..1]).await.expect("mark dispatched");
    assert!(next(outbox, "a", 10, LONG).await.is_empty());
    assert_eq!(next(outbox, "b", 10, LONG).await, all[2..3]);
    outbox.release(&all[1..2]).await.expect("release");
    assert_eq!(
        next(outbox, "a", 10, LONG).await,
        [all[1].clone(), all[3].clone(), all[4].clone()]
    );
    assert_eq!(next(outbox, "a", 0, LONG).await, []);
}

/// Checks that a claim in order ends at a message that another process has claimed.
pub async fn in_order_a_claim_ends_at_what_another_has(outbox: &impl Outbox) {
    let messages = of_topics(&["a"; 4]);
    let all = ids(&messages);
    deposit(outbox, &messages).await;
    assert_eq!(claim_ids(outbox, &all[2..3], LONG).await.len(), 1);
    assert_eq!(next(outbox, "a", 10, LONG).await, all[..2]);
}

/// Checks that a failure delays the messages after it until it is due or dead, and a claim until its lease ends.
pub async fn in_order_a_failure_holds_up_what_follows(outbox: &impl Outbox) {
    let messages = of_topics(&["a"; 3]);
    let all = ids(&messages);
    deposit(outbox, &messages).await;
    let fail = async |retry_delay, is_last| {
        let failure = Failure::new(all[0].clone(), "no", retry_delay);
        let failure = if is_last { failure.last() } else { failure };
        outbox.mark_failed(&[failure]).await.expect("mark failed");
    };
    fail(LONG, false).await;
    assert!(next(outbox, "a", 10, LONG).await.is_empty());
    fail(SHORT, false).await;
    let due = eventually("the first is due", async || {
        let due = next(outbox, "a", 2, SHORT).await;
        (!due.is_empty()).then_some(due)
    })
    .await;
    assert_eq!(due, all[..2]);
    eventually("the lease ended", async || {
        (next(outbox, "a", 1, SHORT).await == all[..1]).then_some(())
    })
    .await;
    fail(LONG, true).await;
    let after_the_dead = eventually("the others are free", async || {
        let next = next(outbox, "a", 10, LONG).await;
        (!next.is_empty()).then_some(next)
    })
    .await;
    assert_eq!(after_the_dead, all[1..]);
}

/// Checks that concurrent claimants get a topic one at a time: the holder of a message also has all messages before it.
pub async fn in_order_one_has_a_topic_at_a_time(outbox: &impl Outbox) {
    let messages = of_topics(&["a"; 300]);
    deposit(outbox, &messages).await;
    let sent = std::sync::Mutex::new(Vec::new());
    let sweeper = async || {
        loop {
            let claimed = next(outbox, "a", 7, LONG).await;
            if claimed.is_empty() {
                if outbox.status().await.expect("status").outstanding == 0 {
                    return;
                }
                tokio::task::yield_now().await;
                continue;
            }
            sent.lock().expect("no panic").extend(claimed.iter().cloned());
            outbox.mark_dispatched(&claimed).await.expect("mark dispatched");
        }
    };
    tokio::join!(sweeper(), sweeper(), sweeper());
    assert_eq!(*sent.lock().expect("no panic"), ids(&messages));
}

/// Checks that a listener learns of unclaimed deposits.
pub async fn arrivals_tell_of_deposits(outbox: &impl Outbox) {
    let Some(mut arrivals) = outbox.arrivals() else {
        return;
    };
    for _ in 0..3 {
        deposit(outbox, &some_messages(1)).await;
        eventually("an arrival, and something to claim", async || {
            arrivals.next().await;
            claim_oldest(outbox, 10, LONG).await.pop()
        })
        .await;
    }
}
