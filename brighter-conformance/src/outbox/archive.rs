//! What leaves the outbox, and what is sent again by a selection.

use std::time::{Duration, SystemTime};

use super::{LONG, SHORT, claim_oldest, claimed_ids, deposit, ids, some_messages};
use crate::eventually;
use brighter_core::outbox::{Archive, Failure, MessageState, Outbox, Selection};

/// Those that are old enough and dispatched, no more than asked; what is outstanding stays, and so do the dead.
pub async fn what_was_dispatched_long_ago_is_archived(outbox: &impl Outbox) {
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
        assert_eq!(outbox.archive(&archive(LONG, 10)).await.expect("archive"), 0);
        assert_eq!(
            outbox
                .archive(&archive(Duration::ZERO, 2))
                .await
                .expect("archive"),
            2
        );
        assert_eq!(
            outbox
                .archive(&archive(Duration::ZERO, 2))
                .await
                .expect("archive"),
            1
        );
        assert_eq!(
            outbox
                .archive(&archive(Duration::ZERO, 2))
                .await
                .expect("archive"),
            0
        );
        assert_eq!(outbox.get(&all).await.expect("get"), messages[3..]);
        assert_eq!(outbox.state(&all[0]).await.expect("state"), None);

        let dead_too = archive(LONG, 10).dead(LONG);
        assert_eq!(outbox.archive(&dead_too).await.expect("archive"), 0);
        let dead_too = archive(LONG, 10).dead(SHORT);
        eventually("the dead one is old enough", async || {
            (outbox.archive(&dead_too).await.expect("archive") == 1).then_some(())
        })
        .await;
        assert!(outbox.dead(10).await.expect("dead").is_empty());

        // An id that is archived is free, and may be archived again.
        outbox.deposit(&messages[..1], None).await.expect("deposit");
        outbox.mark_dispatched(&all).await.expect("mark dispatched");
        assert_eq!(
            outbox
                .archive(&archive(Duration::ZERO, 10))
                .await
                .expect("archive"),
            3
        );
        assert_eq!(outbox.status().await.expect("status").outstanding, 0);
    }
}

/// Several may archive at once, and each message goes once.
pub async fn several_archive_at_once(outbox: &impl Outbox) {
    let messages = some_messages(200);
    deposit(outbox, &messages).await;
    outbox
        .mark_dispatched(&ids(&messages))
        .await
        .expect("mark dispatched");
    let archive = async || {
        let (mut gone, what) = (0, Archive::dispatched(Duration::ZERO, 20).keep());
        // Rows that one has locked are passed over by another.
        while !outbox.get(&ids(&messages)).await.expect("get").is_empty() {
            gone += outbox.archive(&what).await.expect("archive");
        }
        gone
    };
    let (first, second) = tokio::join!(archive(), archive());
    assert_eq!(first + second, 200);
}

/// By topic, by time, up to a limit, the oldest first, with the same ids and bytes; or the dead.
pub async fn what_is_selected_is_outstanding_again(outbox: &impl Outbox) {
    let start = SystemTime::now();
    let mut messages = some_messages(5);
    messages[1].header.topic = "Task.Other".into();
    let all = ids(&messages);
    deposit(outbox, &messages).await;
    outbox.mark_dispatched(&all[..3]).await.expect("mark dispatched");
    let dead = Failure::new(all[3].clone(), "no", LONG).last();
    outbox.mark_failed(&[dead]).await.expect("mark failed");
    assert_eq!(claimed_ids(&claim_oldest(outbox, 10, LONG).await), all[4..]);

    let again = async |which: Selection| outbox.send_again(&which).await.expect("send again");
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
    let state = outbox.state(&all[3]).await.expect("state");
    assert_eq!(state, Some(MessageState::outstanding(0, None)));
    let mut claimed = claimed_ids(&claim_oldest(outbox, 10, LONG).await);
    claimed.sort_unstable();
    assert_eq!(claimed, all[2..4]);
}
