//! Behaviours of an inbox with claims.

use std::time::Duration;

use futures_util::future::join_all;

use super::{LONG, SHORT, abandon, begin, claim, claim_eventually, complete, is_running, some_key};
use brighter_core::id::MessageId;
use brighter_core::inbox::{Begun, Inbox, InboxKey};

/// Checks that the first caller claims a key, and the next one learns that it is running, and for how long.
pub async fn the_first_is_first_and_the_next_finds_it_running(inbox: &impl Inbox) {
    let key = some_key();
    claim(inbox, &key, LONG).await;
    match begin(inbox, &key).await {
        Begun::Running { left } => assert!(left <= LONG && left > LONG / 2, "{left:?}"),
        other => panic!("it is running, and the inbox says {other:?}"),
    }
    claim(inbox, &some_key(), LONG).await;
}

/// Checks that a completed key stays completed, however often it is begun or completed again.
pub async fn what_is_complete_is_done(inbox: &impl Inbox) {
    let key = some_key();
    claim(inbox, &key, LONG).await;
    complete(inbox, &key).await;
    assert_eq!(begin(inbox, &key).await, Begun::Done);
    complete(inbox, &key).await;
    assert_eq!(begin(inbox, &key).await, Begun::Done);
}

/// Checks that an abandoned key can be claimed at once, like a new one.
pub async fn what_is_abandoned_may_begin_at_once(inbox: &impl Inbox) {
    let key = some_key();
    for _ in 0..3 {
        let mine = claim(inbox, &key, LONG).await;
        abandon(inbox, &key, mine).await;
        abandon(inbox, &key, mine).await;
    }
    claim(inbox, &key, LONG).await;
    assert!(is_running(begin(inbox, &key).await));
}

/// Checks that a claim ends with its lease, so that a dead process is replaced.
pub async fn a_claim_ends_with_its_lease(inbox: &impl Inbox) {
    let key = some_key();
    claim(inbox, &key, SHORT).await;
    claim_eventually(inbox, &key).await;
    assert!(is_running(begin(inbox, &key).await));
}

/// Checks that exactly one of many concurrent callers is first.
pub async fn of_many_at_once_one_is_first(inbox: &impl Inbox) {
    for _ in 0..10 {
        let key = some_key();
        let begun = join_all((0..8).map(|_| begin(inbox, &key))).await;
        let first = begun.iter().filter(|it| matches!(it, Begun::First(_))).count();
        let running = begun.iter().filter(|it| is_running(**it)).count();
        assert_eq!((first, running), (1, 7), "{begun:?}");
    }
}

/// Checks that each context has its own key, so that each handler of an event handles it once.
pub async fn each_context_has_a_key_of_its_own(inbox: &impl Inbox) {
    let one = some_key();
    let other = InboxKey::new(one.id.clone(), "other tests");
    claim(inbox, &one, LONG).await;
    complete(inbox, &one).await;
    let claimed = claim(inbox, &other, LONG).await;
    abandon(inbox, &other, claimed).await;
    assert_eq!(begin(inbox, &one).await, Begun::Done);
    claim(inbox, &other, LONG).await;
}

/// Checks that an expired claim cannot abandon the claim of another.
pub async fn who_is_late_abandons_nothing(inbox: &impl Inbox) {
    let key = some_key();
    let late = claim(inbox, &key, SHORT).await;
    let mine = claim_eventually(inbox, &key).await;
    assert_ne!(late, mine);
    abandon(inbox, &key, late).await;
    assert!(is_running(begin(inbox, &key).await));
    // The late call still has no effect afterwards.
    abandon(inbox, &key, mine).await;
    let next = claim(inbox, &key, LONG).await;
    assert!(next != mine && next != late, "no claim is like an earlier one");
}

/// Checks that an expired claim can still complete its key, even if another claim holds it.
pub async fn who_is_late_completes_all_the_same(inbox: &impl Inbox) {
    let key = some_key();
    claim(inbox, &key, SHORT).await;
    let second = claim_eventually(inbox, &key).await;
    complete(inbox, &key).await;
    assert_eq!(begin(inbox, &key).await, Begun::Done);
    abandon(inbox, &key, second).await;
    assert_eq!(begin(inbox, &key).await, Begun::Done);
}

/// Checks that a completed key cannot be abandoned, not even by its own claim.
pub async fn what_is_done_is_never_abandoned(inbox: &impl Inbox) {
    let key = some_key();
    let mine = claim(inbox, &key, LONG).await;
    complete(inbox, &key).await;
    abandon(inbox, &key, mine).await;
    assert_eq!(begin(inbox, &key).await, Begun::Done);
}

/// Checks that an unknown key can be completed, because its claim may have been deleted.
pub async fn what_nobody_began_can_be_completed(inbox: &impl Inbox) {
    let key = some_key();
    complete(inbox, &key).await;
    assert_eq!(begin(inbox, &key).await, Begun::Done);
}

/// Checks that a lease beyond every clock is accepted, and never ends.
pub async fn the_longest_lease_is_no_mistake(inbox: &impl Inbox) {
    let key = some_key();
    claim(inbox, &key, Duration::MAX).await;
    match begin(inbox, &key).await {
        Begun::Running { left } => assert!(left > LONG, "{left:?}"),
        other => panic!("it is running, and the inbox says {other:?}"),
    }
}

/// Checks that an inbox with a history finds the ids that any handler has completed, each once, among any number.
pub async fn what_was_handled_is_found_by_its_id(inbox: &impl Inbox) {
    let Some(history) = inbox.history() else {
        return crate::outbox::not_applicable("history");
    };
    let (done, running) = (some_key(), some_key());
    let again = InboxKey::new(done.id.clone(), "others");
    complete(inbox, &done).await;
    complete(inbox, &again).await;
    claim(inbox, &running, LONG).await;
    let handled = async |ids: &[MessageId]| history.handled(ids).await.expect("handled");
    let mut ids: Vec<_> = (0..100).map(|_| MessageId::new()).collect();
    assert!(handled(&ids).await.is_empty());
    assert!(handled(&[]).await.is_empty());
    ids.insert(50, running.id);
    ids.push(done.id.clone());
    assert_eq!(handled(&ids).await, std::slice::from_ref(&done.id));
    assert_eq!(handled(std::slice::from_ref(&done.id)).await, [done.id]);
}
