//! What waits for its time.

use std::slice::from_ref;
use std::time::Duration;

use super::super::eventually;
use super::{LONG, SHORT, claimed_ids, some_message};
use brighter_core::id::MessageId;
use brighter_core::message::{Message, MessageBody};
use brighter_core::outbox::{Claim, MessageState, Outbox, OutboxError, ScheduledMessage};

async fn schedule(outbox: &impl Outbox, delay: Duration) -> Message {
    let message = some_message();
    assert!(outbox.schedule(&message, delay).await.expect("schedule"));
    message
}

async fn claim(outbox: &impl Outbox) -> Vec<MessageId> {
    let claimed = outbox.claim(Claim::oldest(10, Duration::ZERO), LONG).await;
    claimed_ids(&claimed.expect("claim"))
}

async fn make_due(outbox: &impl Outbox) -> u64 {
    outbox.make_due(10).await.expect("make_due")
}

async fn make_due_in_time(outbox: &impl Outbox, messages: u64) {
    eventually("its time", async || {
        (make_due(outbox).await == messages).then_some(())
    })
    .await;
}

/// What waits for its time is stored, and nobody is given it, neither by age nor by its id; and it is not outstanding.
pub async fn what_is_scheduled_waits_for_its_time(outbox: &impl Outbox) {
    let message = schedule(outbox, LONG).await;
    let id = &message.header.id;
    assert_eq!(make_due(outbox).await, 0);
    assert!(claim(outbox).await.is_empty());
    let by_id = outbox.claim(Claim::ids(from_ref(id)), LONG).await;
    assert!(by_id.expect("claim").is_empty());
    let status = outbox.status().await.expect("status");
    assert_eq!(
        (status.outstanding, status.oldest, status.scheduled),
        (0, None, 1)
    );
    let got = outbox.get(from_ref(id)).await.expect("get");
    assert_eq!(got, from_ref(&message));
    match outbox.state(id).await.expect("state") {
        Some(MessageState::Scheduled { due_in, .. }) => {
            assert!(due_in <= LONG && due_in > LONG / 2, "{due_in:?}");
        }
        other => panic!("{other:?}"),
    }
}

/// Once its time has come it is outstanding like any other, and as old as if it had been deposited then.
pub async fn when_its_time_has_come_it_is_outstanding(outbox: &impl Outbox) {
    let (soon, late) = (schedule(outbox, SHORT).await, schedule(outbox, LONG).await);
    make_due_in_time(outbox, 1).await;
    let status = outbox.status().await.expect("status");
    assert_eq!((status.outstanding, status.scheduled), (1, 1));
    assert_eq!(claim(outbox).await, [soon.header.id]);
    assert!(!outbox.cancel(&MessageId::new()).await.expect("cancel"));
    assert!(outbox.cancel(&late.header.id).await.expect("cancel"));
}

/// Those are made outstanding that are due, no more than asked, each once.
pub async fn no_more_are_made_due_than_asked(outbox: &impl Outbox) {
    for _ in 0..3 {
        schedule(outbox, Duration::ZERO).await;
    }
    let mut made = Vec::new();
    eventually("their time", async || {
        made.push(outbox.make_due(2).await.expect("make_due"));
        (made.iter().sum::<u64>() == 3).then_some(())
    })
    .await;
    assert!(made.iter().all(|some| *some <= 2), "{made:?}");
    assert_eq!((make_due(outbox).await, claim(outbox).await.len()), (0, 3));
}

/// What is cancelled is gone, and its id is free; what is outstanding, sent or unknown is not cancelled.
pub async fn what_is_cancelled_is_gone(outbox: &impl Outbox) {
    let message = schedule(outbox, LONG).await;
    let id = &message.header.id;
    assert!(outbox.cancel(id).await.expect("cancel"));
    assert!(!outbox.cancel(id).await.expect("cancel"));
    assert_eq!(outbox.state(id).await.expect("state"), None);
    assert_eq!(outbox.status().await.expect("status").scheduled, 0);

    let mut other = message.clone();
    other.body = MessageBody::new("another");
    assert!(outbox.schedule(&other, Duration::ZERO).await.expect("schedule"));
    make_due_in_time(outbox, 1).await;
    assert!(!outbox.cancel(id).await.expect("cancel"));
    assert_eq!(claim(outbox).await, from_ref(id));
    outbox.mark_dispatched(from_ref(id)).await.expect("mark");
    assert!(!outbox.cancel(id).await.expect("cancel"));
    assert_eq!(
        outbox.state(id).await.expect("state"),
        Some(MessageState::Dispatched)
    );
}

/// Its time may be changed, both ways, for as long as it waits.
pub async fn what_is_rescheduled_waits_for_its_new_time(outbox: &impl Outbox) {
    let message = schedule(outbox, LONG).await;
    let id = &message.header.id;
    assert!(outbox.reschedule(id, 2 * LONG).await.expect("reschedule"));
    match outbox.state(id).await.expect("state") {
        Some(MessageState::Scheduled { due_in, .. }) => assert!(due_in > LONG, "{due_in:?}"),
        other => panic!("{other:?}"),
    }
    assert!(outbox.reschedule(id, Duration::ZERO).await.expect("reschedule"));
    make_due_in_time(outbox, 1).await;
    assert!(!outbox.reschedule(id, LONG).await.expect("reschedule"));
    assert!(
        !outbox
            .reschedule(&MessageId::new(), LONG)
            .await
            .expect("reschedule")
    );
    assert_eq!(claim(outbox).await, from_ref(id));
}

/// An id is for one message here too, whether it waits or not.
pub async fn an_id_is_scheduled_once(outbox: &impl Outbox) {
    let message = schedule(outbox, LONG).await;
    assert!(!outbox.schedule(&message, Duration::ZERO).await.expect("schedule"));
    let known = outbox.deposit(from_ref(&message), None).await;
    assert_eq!(known.expect("deposit"), from_ref(&message.header.id));
    assert_eq!(make_due(outbox).await, 0);
    assert!(claim(outbox).await.is_empty());

    let mut other = message.clone();
    other.body = MessageBody::new("another");
    let id_in_use = |result: Result<(), OutboxError>| {
        assert!(
            matches!(&result, Err(OutboxError::IdInUse { id }) if *id == message.header.id),
            "{result:?}"
        );
    };
    id_in_use(outbox.schedule(&other, LONG).await.map(drop));
    id_in_use(outbox.deposit(&[other], None).await.map(drop));
}

/// Those that wait are listed, the first to be due first, and no more than asked.
pub async fn scheduled_messages_are_listed_by_their_time(outbox: &impl Outbox) {
    assert!(outbox.scheduled(10).await.expect("scheduled").is_empty());
    outbox.deposit(&[some_message()], None).await.expect("deposit");
    let mut waiting = Vec::new();
    for hours in [3, 1, 2] {
        waiting.push((hours, schedule(outbox, hours * LONG).await));
    }
    waiting.sort_by_key(|(hours, _)| *hours);
    let listed = outbox.scheduled(10).await.expect("scheduled");
    assert_eq!(listed.len(), waiting.len());
    for (listed, (hours, message)) in listed.iter().zip(&waiting) {
        assert_eq!(
            (&listed.id, &listed.topic),
            (&message.header.id, &message.header.topic)
        );
        let (least, most) = ((*hours - 1) * LONG, *hours * LONG);
        assert!(listed.due_in > least && listed.due_in <= most, "{listed:?}");
    }
    let two = outbox.scheduled(2).await.expect("scheduled");
    let ids = |some: &[ScheduledMessage]| some.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&two), ids(&listed[..2]));
}
