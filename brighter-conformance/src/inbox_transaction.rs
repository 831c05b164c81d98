//! The behaviours of every [`InboxTransaction`], one function for each. `inbox_transaction_contract!` makes tests of
//! them.

use std::time::Duration;

use super::eventually;
use brighter_core::id::MessageId;
use brighter_core::inbox::{Begun, ClaimId, Inbox, InboxKey, InboxTransaction};

/// An empty inbox, and functions that begin and end its transactions.
pub trait TransactionalInbox {
    /// The type of the inbox.
    type Inbox: Inbox;
    /// The type of its transactions.
    type Transaction: InboxTransaction<Self::Inbox>;

    /// Returns the inbox.
    fn inbox(&self) -> &Self::Inbox;

    /// Begins a transaction.
    fn begin(&self) -> impl Future<Output = Self::Transaction>;

    /// Commits a transaction.
    fn commit(&self, transaction: Self::Transaction) -> impl Future<Output = ()>;

    /// Rolls a transaction back.
    fn rollback(&self, transaction: Self::Transaction) -> impl Future<Output = ()>;
}

/// Makes a module with one test for each behaviour of an [`InboxTransaction`].
///
/// The second argument is called for each of them without arguments, and gives a [`TransactionalInbox`] with an
/// empty inbox.
#[macro_export]
macro_rules! inbox_transaction_contract {
    ($module:ident, $make:expr) => {
        $crate::__contract_tests! { $module, $make, subject => subject, inbox_transaction, [
            what_is_committed_is_done,
            what_is_rolled_back_is_not_done,
            a_claim_that_another_has_completes_nothing,
            what_is_done_is_not_completed_again,
            of_two_transactions_one_commits,
        ] }
    };
}

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(50);

fn some_key() -> InboxKey {
    InboxKey::new(MessageId::new(), "tests")
}

async fn begin<S: TransactionalInbox>(subject: &S, key: &InboxKey, lease: Duration) -> Begun {
    subject.inbox().begin(key, None, lease).await.expect("begin")
}

async fn claim<S: TransactionalInbox>(subject: &S, key: &InboxKey, lease: Duration) -> ClaimId {
    match begin(subject, key, lease).await {
        Begun::First(claim) => claim,
        other => panic!("expected to be first, and it is {other:?}"),
    }
}

async fn claim_eventually<S: TransactionalInbox>(subject: &S, key: &InboxKey) -> ClaimId {
    eventually("the lease ended", async || {
        match begin(subject, key, LONG).await {
            Begun::First(claim) => Some(claim),
            _ => None,
        }
    })
    .await
}

async fn complete<S: TransactionalInbox>(
    subject: &S,
    transaction: &mut S::Transaction,
    key: &InboxKey,
    claim: ClaimId,
) -> bool {
    transaction
        .complete(subject.inbox(), key, claim)
        .await
        .expect("complete")
}

/// Checks that a committed completion is permanent, and abandoning the key changes nothing.
pub async fn what_is_committed_is_done<S: TransactionalInbox>(subject: &S) {
    let key = some_key();
    let mine = claim(subject, &key, LONG).await;
    let mut transaction = subject.begin().await;
    assert!(complete(subject, &mut transaction, &key, mine).await);
    subject.commit(transaction).await;
    assert_eq!(begin(subject, &key, LONG).await, Begun::Done);
    subject.inbox().abandon(&key, mine).await.expect("abandon");
    assert_eq!(begin(subject, &key, LONG).await, Begun::Done);
}

/// Checks that a completion that was rolled back leaves the key claimed until it is abandoned.
pub async fn what_is_rolled_back_is_not_done<S: TransactionalInbox>(subject: &S) {
    for is_dropped in [false, true] {
        let key = some_key();
        let mine = claim(subject, &key, LONG).await;
        let mut transaction = subject.begin().await;
        assert!(complete(subject, &mut transaction, &key, mine).await);
        if is_dropped {
            drop(transaction);
        } else {
            subject.rollback(transaction).await;
        }
        assert!(matches!(begin(subject, &key, LONG).await, Begun::Running { .. }));
        subject.inbox().abandon(&key, mine).await.expect("abandon");
        claim(subject, &key, LONG).await;
    }
}

/// Checks that a handler that took longer than its lease cannot complete the key of another claim.
pub async fn a_claim_that_another_has_completes_nothing<S: TransactionalInbox>(subject: &S) {
    let key = some_key();
    let late = claim(subject, &key, SHORT).await;
    let mine = claim_eventually(subject, &key).await;
    let mut transaction = subject.begin().await;
    assert!(!complete(subject, &mut transaction, &key, late).await);
    subject.rollback(transaction).await;
    assert!(matches!(begin(subject, &key, LONG).await, Begun::Running { .. }));
    let mut transaction = subject.begin().await;
    assert!(complete(subject, &mut transaction, &key, mine).await);
    subject.commit(transaction).await;
    assert_eq!(begin(subject, &key, LONG).await, Begun::Done);
}

/// Checks that a completed key is not completed again, by any claim or method.
pub async fn what_is_done_is_not_completed_again<S: TransactionalInbox>(subject: &S) {
    let key = some_key();
    let mine = claim(subject, &key, LONG).await;
    subject.inbox().complete(&key).await.expect("complete");
    let mut transaction = subject.begin().await;
    assert!(!complete(subject, &mut transaction, &key, mine).await);
    subject.rollback(transaction).await;
    let mut transaction = subject.begin().await;
    assert!(!complete(subject, &mut transaction, &some_key(), mine).await);
    subject.rollback(transaction).await;
}

/// Checks that one of two transactions commits if the first lease ends meanwhile: the other waits, or fails.
pub async fn of_two_transactions_one_commits<S: TransactionalInbox>(subject: &S) {
    let key = some_key();
    let first = claim(subject, &key, SHORT).await;
    let mut transaction = subject.begin().await;
    assert!(complete(subject, &mut transaction, &key, first).await);
    let committing = async {
        tokio::time::sleep(SHORT * 2).await;
        subject.commit(transaction).await;
    };
    let other = eventually("the other is told", async || {
        match subject.inbox().begin(&key, None, LONG).await {
            Ok(Begun::Running { .. }) | Err(_) => None,
            told => Some(told),
        }
    });
    let ((), other) = tokio::join!(committing, other);
    assert_eq!(other.expect("begin"), Begun::Done);
}
