//! Behaviours of an outbox with archives and with selections.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::{
    LONG, SHORT, assert_dead, assert_read, assert_state, capability, claim_oldest, claimed_ids, deposit, ids,
    some_messages,
};
use crate::eventually;
use brighter_core::outbox::{Archive, Failure, MessageState, Outbox, Selection};

/// Checks that old dispatched messages are archived up to the limit, and outstanding and dead messages stay.
pub async fn what_was_dispatched_long_ago_is_archived(outbox: &impl Outbox) {
    let archiving = capability!(outbox, archiving);
    for keep in [false, true] {
        let archive = |age, limit| {
            let archive = Archive::dispatched(age, limit);
            if keep { archive.keep() } else { archive }
        };
        let messages = some_messages(6);
        let all = ids(&messages);
        deposit(outbox, &messages).await;
        let dead = Failure::new(all[4].clone(), "no", LONG).last();
        outbox.mark_failed(&[dead]).await.expect("mark failed");
        outbox.mark_dispatched(&all[..3]).await.expect("mark dispatched");
        assert_eq!(archiving.archive(&archive(LONG, 10)).await.expect("archive"), 0);
        assert_eq!(
            archiving
                .archive(&archive(Duration::ZERO, 2))
                .await
                .expect("archive"),
            2
        );
        assert_eq!(
            archiving
                .archive(&archive(Duration::ZERO, 2))
                .await
                .expect("archive"),
            1
        );
        assert_eq!(
            archiving
                .archive(&archive(Duration::ZERO, 2))
                .await
                .expect("archive"),
            0
        );
        assert_read(outbox, &all, &messages[3..]).await;
        assert_state(outbox, &all[0], None).await;

        let dead_too = archive(LONG, 10).dead(LONG);
        assert_eq!(archiving.archive(&dead_too).await.expect("archive"), 0);
        let dead_too = archive(LONG, 10).dead(SHORT);
        eventually("the dead one is old enough", async || {
            (archiving.archive(&dead_too).await.expect("archive") == 1).then_some(())
        })
        .await;
        assert_eq!(outbox.status().await.expect("status").dead, 0);
        assert_dead(outbox, &[]).await;

        // An archived id is free, and may be archived again.
        outbox.deposit(&messages[..1], None).await.expect("deposit");
        outbox.mark_dispatched(&all).await.expect("mark dispatched");
        assert_eq!(
            archiving
                .archive(&archive(Duration::ZERO, 10))
                .await
                .expect("archive"),
            3
        );
        assert_eq!(outbox.status().await.expect("status").outstanding, 0);
    }
}

/// Checks that several processes can archive at once, and each message is archived once.
pub async fn several_archive_at_once(outbox: &impl Outbox) {
    let archiving = capability!(outbox, archiving);
    let messages = some_messages(200);
    deposit(outbox, &messages).await;
    outbox
        .mark_dispatched(&ids(&messages))
        .await
        .expect("mark dispatched");
    let gone = AtomicU64::new(0);
    let archive = async || {
        let what = Archive::dispatched(Duration::ZERO, 20).keep();
        // Rows that one process has locked are skipped by the others.
        while gone.load(Ordering::Relaxed) < 200 {
            let some = archiving.archive(&what).await.expect("archive");
            gone.fetch_add(some, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    };
    let both = async { tokio::join!(archive(), archive()) };
    let archived = tokio::time::timeout(Duration::from_secs(10), both).await;
    archived.expect("all are archived within ten seconds");
    assert_eq!(gone.into_inner(), 200);
    assert_read(outbox, &ids(&messages), &[]).await;
}

/// Checks that selected messages become outstanding again: by topic, by time, up to a limit, the oldest first, with the
/// same ids and bytes; also dead ones.
pub async fn what_is_selected_is_outstanding_again(outbox: &impl Outbox) {
    let resending = capability!(outbox, resending);
    let start = SystemTime::now();
    let mut messages = some_messages(5);
    messages[1].header.topic = "Task.Other".into();
    let all = ids(&messages);
    deposit(outbox, &messages).await;
    outbox.mark_dispatched(&all[..3]).await.expect("mark dispatched");
    let dead = Failure::new(all[3].clone(), "no", LONG).last();
    outbox.mark_failed(&[dead]).await.expect("mark failed");
    assert_eq!(claimed_ids(&claim_oldest(outbox, 10, LONG).await), all[4..]);

    let again = async |which: Selection| resending.send_again(&which).await.expect("send again");
    let hour = Duration::from_secs(3600);
    assert_eq!(again(Selection::all().topic("task.other")).await, 0);
    assert_eq!(again(Selection::all().before(start - hour)).await, 0);
    assert_eq!(again(Selection::all().since(start + hour)).await, 0);
    assert_eq!(again(Selection::all().limit(0)).await, 0);
    assert_eq!(outbox.status().await.expect("status").outstanding, 1);

    assert_eq!(
        again(Selection::all().topic("Task.Other").since(start - hour)).await,
        1
    );
    let claimed = claim_oldest(outbox, 10, LONG).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].message, messages[1]);
    assert_eq!(claimed[0].attempts, 0);
    assert_eq!(again(Selection::all().before(start + hour).limit(1)).await, 1);
    assert_eq!(claimed_ids(&claim_oldest(outbox, 10, LONG).await), all[..1]);
    assert_eq!(again(Selection::all()).await, 1);
    assert_eq!(again(Selection::all().dead()).await, 1);
    assert_state(outbox, &all[3], Some(MessageState::outstanding(0, None))).await;
    let mut claimed = claimed_ids(&claim_oldest(outbox, 10, LONG).await);
    claimed.sort_unstable();
    assert_eq!(claimed, all[2..4]);
}
