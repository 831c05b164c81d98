//! The behaviours of every [`Inbox`], one function for each. `inbox_contract!` makes tests of them.
//!
//! Each function needs an empty inbox that nothing else uses, and panics if the inbox behaves differently. None waits
//! longer than ten seconds for a result, and none needs a fast machine.

mod bodies;
mod claims;

use std::time::Duration;

pub use bodies::*;
pub use claims::*;

use super::eventually;
use brighter_core::id::MessageId;
use brighter_core::inbox::{Begun, ClaimId, Fingerprint, Inbox, InboxKey};

/// Makes a module with one test for each behaviour of an [`Inbox`].
///
/// The second argument is called without arguments for each test. It returns an empty inbox, and a value that must live
/// as long: a temporary folder, a server, or `()`.
///
/// ```
/// use brighter::InMemoryInbox;
///
/// brighter::inbox_contract!(in_memory, async || (InMemoryInbox::new(), ()));
/// ```
#[macro_export]
macro_rules! inbox_contract {
    ($module:ident, $make:expr) => {
        $crate::__contract_tests! { $module, $make, (inbox, _kept) => inbox, inbox, [
            the_first_is_first_and_the_next_finds_it_running,
            what_is_complete_is_done,
            what_is_abandoned_may_begin_at_once,
            a_claim_ends_with_its_lease,
            of_many_at_once_one_is_first,
            each_context_has_a_key_of_its_own,
            who_is_late_abandons_nothing,
            who_is_late_completes_all_the_same,
            what_is_done_is_never_abandoned,
            what_nobody_began_can_be_completed,
            the_longest_lease_is_no_mistake,
            another_body_collides,
            the_same_content_in_other_bytes_is_a_duplicate,
            another_body_collides_with_a_claim_that_has_ended,
            what_is_abandoned_leaves_no_body,
            without_a_body_there_is_nothing_to_compare,
            every_id_and_every_context_is_kept_as_it_is,
            what_was_handled_is_found_by_its_id,
        ] }
    };
}

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(50);

fn some_key() -> InboxKey {
    InboxKey::new(MessageId::new(), "tests")
}

async fn begin_with(
    inbox: &impl Inbox,
    key: &InboxKey,
    fingerprint: Option<Fingerprint>,
    lease: Duration,
) -> Begun {
    inbox.begin(key, fingerprint, lease).await.expect("begin")
}

async fn begin(inbox: &impl Inbox, key: &InboxKey) -> Begun {
    begin_with(inbox, key, None, LONG).await
}

/// Claims a new key.
async fn claim(inbox: &impl Inbox, key: &InboxKey, lease: Duration) -> ClaimId {
    claim_of(begin_with(inbox, key, None, lease).await)
}

fn claim_of(begun: Begun) -> ClaimId {
    match begun {
        Begun::First(claim) => claim,
        other => panic!("expected to be first, and it is {other:?}"),
    }
}

/// Claims a key as soon as the claim of another has ended.
async fn claim_eventually(inbox: &impl Inbox, key: &InboxKey) -> ClaimId {
    eventually("the lease ended", async || match begin(inbox, key).await {
        Begun::First(claim) => Some(claim),
        _ => None,
    })
    .await
}

async fn complete(inbox: &impl Inbox, key: &InboxKey) {
    inbox.complete(key).await.expect("complete");
}

async fn abandon(inbox: &impl Inbox, key: &InboxKey, claim: ClaimId) {
    inbox.abandon(key, claim).await.expect("abandon");
}

fn is_running(begun: Begun) -> bool {
    matches!(begun, Begun::Running { .. })
}
