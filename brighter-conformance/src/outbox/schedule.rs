//! Behaviours of an outbox with scheduled messages.

use std::slice::from_ref;
use std::time::Duration;

use super::super::eventually;
use super::{LONG, SHORT, assert_due_in, assert_read, assert_state, capability, claimed_ids, some_message};
use brighter_core::id::MessageId;
use brighter_core::message::{Message, MessageBody};
use brighter_core::outbox::{Claim, MessageState, Outbox, OutboxError, ScheduledMessage, Scheduling};

async fn schedule(scheduling: &dyn Scheduling, delay: Duration) -> Message {
    let message = some_message();
    assert!(scheduling.schedule(&message, delay).await.expect("schedule"));
    message
}

async fn claim(outbox: &impl Outbox) -> Vec<MessageId> {
    let claimed = outbox.claim(Claim::oldest(10, Duration::ZERO), LONG).await;
    claimed_ids(&claimed.expect("claim"))
}

async fn make_due(scheduling: &dyn Scheduling) -> u64 {
    scheduling.make_due(10).await.expect("make_due")
}

async fn make_due_in_time(scheduling: &dyn Scheduling, messages: u64) {
    eventually("its time", async || {
        (make_due(scheduling).await == messages).then_some(())
    })
    .await;
}

/// Checks that a scheduled message is stored, is not outstanding, and cannot be claimed by age or id.
pub async fn what_is_scheduled_waits_for_its_time(outbox: &impl Outbox) {
    let scheduling = capability!(outbox, scheduling);
    let message = schedule(scheduling, LONG).await;
    let id = &message.header.id;
    assert_eq!(make_due(scheduling).await, 0);
    assert!(claim(outbox).await.is_empty());
    let by_id = outbox.claim(Claim::ids(from_ref(id)), LONG).await;
    assert!(by_id.expect("claim").is_empty());
    let status = outbox.status().await.expect("status");
    assert_eq!(
        (status.outstanding, status.oldest, status.scheduled),
        (0, None, 1)
    );
    assert_read(outbox, from_ref(id), from_ref(&message)).await;
    assert_due_in(outbox, id, |due_in| due_in <= LONG && due_in > LONG / 2).await;
}

/// Checks that a due message becomes outstanding, with the age of a message that was deposited when it became due.
pub async fn when_its_time_has_come_it_is_outstanding(outbox: &impl Outbox) {
    let scheduling = capability!(outbox, scheduling);
    let (soon, late) = (
        schedule(scheduling, SHORT).await,
        schedule(scheduling, LONG).await,
    );
    make_due_in_time(scheduling, 1).await;
    let status = outbox.status().await.expect("status");
    assert_eq!((status.outstanding, status.scheduled), (1, 1));
    assert_eq!(claim(outbox).await, [soon.header.id]);
    assert!(!scheduling.cancel(&MessageId::new()).await.expect("cancel"));
    assert!(scheduling.cancel(&late.header.id).await.expect("cancel"));
}

/// Checks that due messages are made outstanding once, and no more than requested.
pub async fn no_more_are_made_due_than_asked(outbox: &impl Outbox) {
    let scheduling = capability!(outbox, scheduling);
    for _ in 0..3 {
        schedule(scheduling, Duration::ZERO).await;
    }
    let mut made = Vec::new();
    eventually("their time", async || {
        made.push(scheduling.make_due(2).await.expect("make_due"));
        (made.iter().sum::<u64>() == 3).then_some(())
    })
    .await;
    assert!(made.iter().all(|some| *some <= 2), "{made:?}");
    assert_eq!((make_due(scheduling).await, claim(outbox).await.len()), (0, 3));
}

/// Checks that a cancelled message is removed and its id is free, and that other messages cannot be cancelled.
pub async fn what_is_cancelled_is_gone(outbox: &impl Outbox) {
    let scheduling = capability!(outbox, scheduling);
    let message = schedule(scheduling, LONG).await;
    let id = &message.header.id;
    assert!(scheduling.cancel(id).await.expect("cancel"));
    assert!(!scheduling.cancel(id).await.expect("cancel"));
    assert_state(outbox, id, None).await;
    assert_eq!(outbox.status().await.expect("status").scheduled, 0);

    let mut other = message.clone();
    other.body = MessageBody::new("another");
    assert!(
        scheduling
            .schedule(&other, Duration::ZERO)
            .await
            .expect("schedule")
    );
    make_due_in_time(scheduling, 1).await;
    assert!(!scheduling.cancel(id).await.expect("cancel"));
    assert_eq!(claim(outbox).await, from_ref(id));
    outbox.mark_dispatched(from_ref(id)).await.expect("mark");
    assert!(!scheduling.cancel(id).await.expect("cancel"));
    assert_state(outbox, id, Some(MessageState::Dispatched)).await;
}

/// Checks that a scheduled message can be moved to an earlier or later time.
pub async fn what_is_rescheduled_waits_for_its_new_time(outbox: &impl Outbox) {
    let scheduling = capability!(outbox, scheduling);
    let message = schedule(scheduling, LONG).await;
    let id = &message.header.id;
    assert!(scheduling.reschedule(id, 2 * LONG).await.expect("reschedule"));
    assert_due_in(outbox, id, |due_in| due_in > LONG).await;
    assert!(
        scheduling
            .reschedule(id, Duration::ZERO)
            .await
            .expect("reschedule")
    );
    make_due_in_time(scheduling, 1).await;
    assert!(!scheduling.reschedule(id, LONG).await.expect("reschedule"));
    assert!(
        !scheduling
            .reschedule(&MessageId::new(), LONG)
            .await
            .expect("reschedule")
    );
    assert_eq!(claim(outbox).await, from_ref(id));
}

/// Checks that an id belongs to one message, scheduled or not.
pub async fn an_id_is_scheduled_once(outbox: &impl Outbox) {
    let scheduling = capability!(outbox, scheduling);
    let message = schedule(scheduling, LONG).await;
    assert!(
        !scheduling
            .schedule(&message, Duration::ZERO)
            .await
            .expect("schedule")
    );
    let known = outbox.deposit(from_ref(&message), None).await;
    assert_eq!(known.expect("deposit"), from_ref(&message.header.id));
    assert_eq!(make_due(scheduling).await, 0);
    assert!(claim(outbox).await.is_empty());

    let mut other = message.clone();
    other.body = MessageBody::new("another");
    let id_in_use = |result: Result<(), OutboxError>| {
        assert!(
            matches!(&result, Err(OutboxError::IdInUse { id }) if *id == message.header.id),
            "{result:?}"
        );
    };
    id_in_use(scheduling.schedule(&other, LONG).await.map(drop));
    id_in_use(outbox.deposit(&[other], None).await.map(drop));
}

/// Checks that scheduled messages are listed by their due time, up to the limit.
pub async fn scheduled_messages_are_listed_by_their_time(outbox: &impl Outbox) {
    let scheduling = capability!(outbox, scheduling);
    assert!(scheduling.scheduled(10).await.expect("scheduled").is_empty());
    outbox.deposit(&[some_message()], None).await.expect("deposit");
    let mut waiting = Vec::new();
    for hours in [3, 1, 2] {
        waiting.push((hours, schedule(scheduling, hours * LONG).await));
    }
    waiting.sort_by_key(|(hours, _)| *hours);
    let listed = scheduling.scheduled(10).await.expect("scheduled");
    assert_eq!(listed.len(), waiting.len());
    for (listed, (hours, message)) in listed.iter().zip(&waiting) {
        assert_eq!(
            (&listed.id, &listed.topic),
            (&message.header.id, &message.header.topic)
        );
        let (least, most) = ((*hours - 1) * LONG, *hours * LONG);
        assert!(listed.due_in > least && listed.due_in <= most, "{listed:?}");
    }
    let two = scheduling.scheduled(2).await.expect("scheduled");
    let ids = |some: &[ScheduledMessage]| some.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&two), ids(&listed[..2]));
}
