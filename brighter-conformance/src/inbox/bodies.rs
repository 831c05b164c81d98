//! Behaviours of an inbox with bodies, and with unusual keys.

use super::{LONG, SHORT, abandon, begin, begin_with, claim_of, complete, some_key};
use crate::eventually;
use brighter_core::inbox::{Begun, Fingerprint, Inbox, InboxKey};

fn body(text: &str) -> Option<Fingerprint> {
    Some(Fingerprint::of(text.as_bytes()))
}

/// Checks that another body under the same id collides, whether the first is running or completed, and does not disturb
/// the first.
pub async fn another_body_collides(inbox: &impl Inbox) {
    let key = some_key();
    claim_of(begin_with(inbox, &key, body("one"), LONG).await);
    assert_eq!(
        begin_with(inbox, &key, body("other"), LONG).await,
        Begun::Collision
    );
    complete(inbox, &key).await;
    assert_eq!(
        begin_with(inbox, &key, body("other"), LONG).await,
        Begun::Collision
    );
    assert_eq!(begin_with(inbox, &key, body("one"), LONG).await, Begun::Done);
}

/// Checks that only the first body may be tried again after its claim has ended: the handler may have died half-way.
pub async fn another_body_collides_with_a_claim_that_has_ended(inbox: &impl Inbox) {
    let key = some_key();
    claim_of(begin_with(inbox, &key, body("one"), SHORT).await);
    eventually("the lease ended", async || {
        let other = begin_with(inbox, &key, body("other"), LONG).await;
        assert_eq!(other, Begun::Collision);
        let again = begin_with(inbox, &key, body("one"), LONG).await;
        matches!(again, Begun::First(_)).then_some(())
    })
    .await;
}

/// Checks that equal content in other bytes is the same request, also if an earlier version kept its fingerprint.
pub async fn the_same_content_in_other_bytes_is_a_duplicate(inbox: &impl Inbox) {
    let json = |text: &str| Some(Fingerprint::of_content("application/json", text.as_bytes()));
    let one = r#"{"a":1,"b":[2.0]}"#;
    let same = json(r#"{ "b": [2], "a": 1, "added": null }"#);
    let other = json(r#"{"a":1,"b":[3]}"#);
    for earlier in [false, true] {
        let key = some_key();
        let kept = if earlier { body(one) } else { json(one) };
        claim_of(begin_with(inbox, &key, kept, SHORT).await);
        eventually("the lease ended", async || {
            assert_eq!(begin_with(inbox, &key, other, LONG).await, Begun::Collision);
            let again = begin_with(inbox, &key, json(one), LONG).await;
            matches!(again, Begun::First(_)).then_some(())
        })
        .await;
        // From now on it is kept as this version has it.
        assert!(matches!(
            begin_with(inbox, &key, same, LONG).await,
            Begun::Running { .. }
        ));
        complete(inbox, &key).await;
        assert_eq!(begin_with(inbox, &key, same, LONG).await, Begun::Done);
        assert_eq!(begin_with(inbox, &key, other, LONG).await, Begun::Collision);
    }
}

/// Checks that an abandoned id may be used with another body.
pub async fn what_is_abandoned_leaves_no_body(inbox: &impl Inbox) {
    let key = some_key();
    let claim = claim_of(begin_with(inbox, &key, body("one"), LONG).await);
    abandon(inbox, &key, claim).await;
    claim_of(begin_with(inbox, &key, body("other"), LONG).await);
}

/// Checks that a request without a body, as one made in this process, is a duplicate by its id alone.
pub async fn without_a_body_there_is_nothing_to_compare(inbox: &impl Inbox) {
    let (with, without) = (some_key(), some_key());
    claim_of(begin_with(inbox, &with, body("one"), LONG).await);
    complete(inbox, &with).await;
    assert_eq!(begin(inbox, &with).await, Begun::Done);
    claim_of(begin(inbox, &without).await);
    complete(inbox, &without).await;
    assert_eq!(begin_with(inbox, &without, body("one"), LONG).await, Begun::Done);
}

/// Checks that ids and contexts are not changed or truncated, so that no two different ones are confused.
pub async fn every_id_and_every_context_is_kept_as_it_is(inbox: &impl Inbox) {
    let long = "x".repeat(300);
    let texts = [
        "",
        "plain",
        "PLAIN",
        "plain ",
        "'; --",
        "ünï 漢字",
        "a\0b",
        "%_?$1",
        &long,
    ];
    for id in texts {
        for context in texts {
            let key = InboxKey::new(id.into(), context);
            claim_of(begin_with(inbox, &key, body(id), LONG).await);
            complete(inbox, &key).await;
        }
    }
    for id in texts {
        for context in texts {
            let key = InboxKey::new(id.into(), context);
            assert_eq!(begin_with(inbox, &key, body(id), LONG).await, Begun::Done);
        }
    }
    for number in [0, 1, u64::MAX / 2 + 1, u64::MAX] {
        let (key, fingerprint) = (some_key(), Some(Fingerprint::new(number)));
        claim_of(begin_with(inbox, &key, fingerprint, LONG).await);
        assert!(matches!(
            begin_with(inbox, &key, fingerprint, LONG).await,
            Begun::Running { .. }
        ));
    }
}
