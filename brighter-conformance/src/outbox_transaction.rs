//! The behaviours of every [`OutboxTransaction`], one function for each. `outbox_transaction_contract!` makes tests of
//! them.

use std::time::Duration;

use super::outbox::{assert_due_in, assert_held, assert_state, key, not_applicable, some_message};
use brighter_core::id::MessageId;
use brighter_core::message::Message;
use brighter_core::outbox::{Claim, Outbox, OutboxTransaction, UniqueDeposit, UniqueKey};

/// An empty outbox, and functions that begin and end its transactions.
pub trait TransactionalOutbox {
    /// The type of the outbox.
    type Outbox: Outbox;
    /// The type of its transactions.
    type Transaction: OutboxTransaction<Self::Outbox>;

    /// Returns the outbox.
    fn outbox(&self) -> &Self::Outbox;

    /// Begins a transaction.
    fn begin(&self) -> impl Future<Output = Self::Transaction>;

    /// Commits a transaction.
    fn commit(&self, transaction: Self::Transaction) -> impl Future<Output = ()>;

    /// Rolls a transaction back.
    fn rollback(&self, transaction: Self::Transaction) -> impl Future<Output = ()>;
}

/// Makes a module with one test for each behaviour of an [`OutboxTransaction`].
///
/// The second argument is called for each of them without arguments, and gives a [`TransactionalOutbox`] with an
/// empty outbox.
///
/// ```
/// use brighter::outbox::InMemoryTransaction;
/// use brighter::testing::outbox_transaction::TransactionalOutbox;
/// use brighter::InMemoryOutbox;
///
/// struct InMemory(InMemoryOutbox);
///
/// impl TransactionalOutbox for InMemory {
///     type Outbox = InMemoryOutbox;
///     type Transaction = InMemoryTransaction;
///
///     fn outbox(&self) -> &InMemoryOutbox {
///         &self.0
///     }
///     async fn begin(&self) -> InMemoryTransaction {
///         self.0.begin()
///     }
///     async fn commit(&self, transaction: InMemoryTransaction) {
///         transaction.commit().unwrap();
///     }
///     async fn rollback(&self, transaction: InMemoryTransaction) {
///         transaction.rollback();
///     }
/// }
///
/// brighter::outbox_transaction_contract!(in_memory, async || InMemory(InMemoryOutbox::new()));
/// ```
#[macro_export]
macro_rules! outbox_transaction_contract {
    ($module:ident, $make:expr) => {
        $crate::__contract_tests! { $module, $make, subject => subject, outbox_transaction, [
            what_is_committed_is_stored,
            what_is_rolled_back_is_not_stored,
            what_is_dropped_is_not_stored,
            nobody_sees_it_before_the_commit,
            an_id_that_is_there_is_left_as_it_is,
            what_is_scheduled_is_committed_with_the_rest,
            what_is_cancelled_is_gone_with_the_commit,
            what_is_rescheduled_is_so_from_the_commit_on,
            what_was_scheduled_in_it_can_be_changed_in_it,
            a_key_is_committed_with_its_message,
            a_key_that_is_rolled_back_is_free,
            of_two_transactions_at_once_one_takes_the_key,
            a_key_that_is_rolled_back_goes_to_the_transaction_that_waits,
        ] }
    };
}

const HOUR: Duration = Duration::from_secs(3600);

async fn deposit<S: TransactionalOutbox>(
    subject: &S,
    transaction: &mut S::Transaction,
    messages: &[Message],
) {
    transaction
        .deposit(subject.outbox(), messages)
        .await
        .expect("deposit");
}

/// Returns the stored messages. An outbox that cannot read them returns the outstanding ones.
async fn get<S: TransactionalOutbox>(subject: &S, messages: &[Message]) -> Vec<Message> {
    let ids: Vec<MessageId> = messages.iter().map(|message| message.header.id.clone()).collect();
    let outbox = subject.outbox();
    if let Some(inspection) = outbox.inspection() {
        return inspection.get(&ids).await.expect("get");
    }
    let claimed = outbox.claim(Claim::ids(&ids), HOUR).await.expect("claim");
    outbox.release(&ids).await.expect("release");
    claimed.into_iter().map(|it| it.message).collect()
}

/// Checks that several deposits of one transaction are claimed in their order after the commit.
pub async fn what_is_committed_is_stored<S: TransactionalOutbox>(subject: &S) {
    let messages = [some_message(), some_message(), some_message()];
    let mut transaction = subject.begin().await;
    deposit(subject, &mut transaction, &messages[..2]).await;
    deposit(subject, &mut transaction, &[]).await;
    deposit(subject, &mut transaction, &messages[2..]).await;
    subject.commit(transaction).await;
    assert_eq!(get(subject, &messages).await, messages);

    let all = Claim::oldest(10, Duration::ZERO);
    let claimed = subject.outbox().claim(all, HOUR).await.expect("claim");
    let claimed: Vec<Message> = claimed.into_iter().map(|it| it.message).collect();
    assert_eq!(claimed, messages);
}

/// Checks that a rollback leaves no messages, and the next transaction may store the same ones.
pub async fn what_is_rolled_back_is_not_stored<S: TransactionalOutbox>(subject: &S) {
    let messages = [some_message()];
    let mut transaction = subject.begin().await;
    deposit(subject, &mut transaction, &messages).await;
    subject.rollback(transaction).await;
    nothing_is_left(subject, &messages).await;
}

/// Checks that a dropped transaction leaves no messages, and the next one may store the same ones.
pub async fn what_is_dropped_is_not_stored<S: TransactionalOutbox>(subject: &S) {
    let messages = [some_message()];
    let mut transaction = subject.begin().await;
    deposit(subject, &mut transaction, &messages).await;
    drop(transaction);
    nothing_is_left(subject, &messages).await;
}

async fn nothing_is_left<S: TransactionalOutbox>(subject: &S, messages: &[Message]) {
    assert!(get(subject, messages).await.is_empty());
    assert_eq!(subject.outbox().status().await.expect("status").outstanding, 0);
    let mut transaction = subject.begin().await;
    deposit(subject, &mut transaction, messages).await;
    subject.commit(transaction).await;
    assert_eq!(get(subject, messages).await, messages);
}

/// Checks that a deposit is invisible to others until the commit.
pub async fn nobody_sees_it_before_the_commit<S: TransactionalOutbox>(subject: &S) {
    let messages = [some_message()];
    let mut transaction = subject.begin().await;
    deposit(subject, &mut transaction, &messages).await;
    assert!(get(subject, &messages).await.is_empty());
    assert_eq!(subject.outbox().status().await.expect("status").outstanding, 0);
    subject.commit(transaction).await;
    assert_eq!(get(subject, &messages).await, messages);
}

/// Checks that a message that the outbox already holds is left unchanged, and the transaction goes on.
pub async fn an_id_that_is_there_is_left_as_it_is<S: TransactionalOutbox>(subject: &S) {
    let (first, other) = (some_message(), some_message());
    subject
        .outbox()
        .deposit(std::slice::from_ref(&first), None)
        .await
        .expect("deposit");
    let mut transaction = subject.begin().await;
    deposit(subject, &mut transaction, &[first.clone(), other.clone()]).await;
    subject.commit(transaction).await;
    let expected = [first, other];
    assert_eq!(get(subject, &expected).await, expected);
}

/// Checks that a scheduled message is committed with the transaction, or not at all.
pub async fn what_is_scheduled_is_committed_with_the_rest<S: TransactionalOutbox>(subject: &S) {
    let outbox = subject.outbox();
    if outbox.scheduling().is_none() {
        return not_applicable("scheduling");
    }
    let (lost, kept) = (some_message(), some_message());
    let mut transaction = subject.begin().await;
    transaction.schedule(outbox, &lost, HOUR).await.expect("schedule");
    subject.rollback(transaction).await;
    let mut transaction = subject.begin().await;
    transaction.schedule(outbox, &kept, HOUR).await.expect("schedule");
    assert_eq!(outbox.status().await.expect("status").scheduled, 0);
    subject.commit(transaction).await;
    assert_eq!(outbox.status().await.expect("status").scheduled, 1);
    assert_eq!(get(subject, &[lost, kept.clone()]).await, [kept]);
}

/// Checks that a scheduled message is cancelled with the transaction, or not at all.
pub async fn what_is_cancelled_is_gone_with_the_commit<S: TransactionalOutbox>(subject: &S) {
    let outbox = subject.outbox();
    let Some(scheduling) = outbox.scheduling() else {
        return not_applicable("scheduling");
    };
    let message = some_message();
    let id = &message.header.id;
    assert!(scheduling.schedule(&message, HOUR).await.expect("schedule"));

    let mut transaction = subject.begin().await;
    assert!(transaction.cancel(outbox, id).await.expect("cancel"));
    assert!(
        !transaction.cancel(outbox, id).await.expect("cancel"),
        "it is cancelled"
    );
    assert!(
        !transaction
            .reschedule(outbox, id, HOUR)
            .await
            .expect("reschedule"),
        "it is cancelled"
    );
    subject.rollback(transaction).await;
    assert_eq!(outbox.status().await.expect("status").scheduled, 1);
    assert_due_in(outbox, id, |due_in| due_in > HOUR / 2).await;

    let (mut transaction, effect) = (subject.begin().await, some_message());
    deposit(subject, &mut transaction, std::slice::from_ref(&effect)).await;
    assert!(transaction.cancel(outbox, id).await.expect("cancel"));
    assert!(
        !transaction
            .cancel(outbox, &MessageId::new())
            .await
            .expect("cancel")
    );
    assert_eq!(
        outbox.status().await.expect("status").scheduled,
        1,
        "not committed yet"
    );
    subject.commit(transaction).await;
    assert_eq!(outbox.status().await.expect("status").scheduled, 0);
    assert_state(outbox, id, None).await;
    assert_eq!(get(subject, std::slice::from_ref(&effect)).await, [effect]);
    assert!(
        scheduling.schedule(&message, HOUR).await.expect("schedule"),
        "its id is free"
    );
    assert!(
        scheduling.cancel(id).await.expect("cancel"),
        "nobody holds it any more"
    );
}

/// Checks that a message has its new due time after the commit, and that an outstanding message is not rescheduled.
pub async fn what_is_rescheduled_is_so_from_the_commit_on<S: TransactionalOutbox>(subject: &S) {
    let outbox = subject.outbox();
    let Some(scheduling) = outbox.scheduling() else {
        return not_applicable("scheduling");
    };
    let (message, sent) = (some_message(), some_message());
    let id = &message.header.id;
    assert!(scheduling.schedule(&message, HOUR).await.expect("schedule"));
    outbox
        .deposit(std::slice::from_ref(&sent), None)
        .await
        .expect("deposit");

    let mut transaction = subject.begin().await;
    assert!(
        transaction
            .reschedule(outbox, id, 3 * HOUR)
            .await
            .expect("reschedule")
    );
    subject.rollback(transaction).await;
    assert_due_in(outbox, id, |due_in| due_in <= HOUR).await;

    let mut transaction = subject.begin().await;
    assert!(
        transaction
            .reschedule(outbox, id, Duration::ZERO)
            .await
            .expect("reschedule")
    );
    let other = &sent.header.id;
    assert!(
        !transaction
            .reschedule(outbox, other, HOUR)
            .await
            .expect("reschedule")
    );
    assert!(!transaction.cancel(outbox, other).await.expect("cancel"));
    assert_due_in(outbox, id, |due_in| due_in > HOUR / 2).await;
    subject.commit(transaction).await;
    super::eventually("it is due", async || {
        (scheduling.make_due(10).await.expect("make_due") == 1).then_some(())
    })
    .await;
    let status = outbox.status().await.expect("status");
    assert_eq!((status.outstanding, status.scheduled), (2, 0));
}

/// Checks that a message that was scheduled in a transaction can be rescheduled or cancelled in it.
pub async fn what_was_scheduled_in_it_can_be_changed_in_it<S: TransactionalOutbox>(subject: &S) {
    let outbox = subject.outbox();
    if outbox.scheduling().is_none() {
        return not_applicable("scheduling");
    }
    let (moved, gone) = (some_message(), some_message());
    let mut transaction = subject.begin().await;
    transaction
        .schedule(outbox, &moved, HOUR)
        .await
        .expect("schedule");
    transaction.schedule(outbox, &gone, HOUR).await.expect("schedule");
    let id = &moved.header.id;
    assert!(
        transaction
            .reschedule(outbox, id, 3 * HOUR)
            .await
            .expect("reschedule")
    );
    assert!(transaction.cancel(outbox, &gone.header.id).await.expect("cancel"));
    subject.commit(transaction).await;
    assert_eq!(outbox.status().await.expect("status").scheduled, 1);
    assert_due_in(outbox, id, |due_in| due_in > 2 * HOUR).await;
    assert_state(outbox, &gone.header.id, None).await;
}

async fn deposit_unique<S: TransactionalOutbox>(
    subject: &S,
    transaction: &mut S::Transaction,
    message: &Message,
    key: &UniqueKey,
) -> UniqueDeposit {
    let deposited = transaction.deposit_unique(subject.outbox(), message, key, None);
    deposited.await.expect("deposit_unique")
}

/// Checks that a key is held from the commit on, within its own transaction too, and that a duplicate does not spoil the
/// transaction that it comes in.
pub async fn a_key_is_committed_with_its_message<S: TransactionalOutbox>(subject: &S) {
    if subject.outbox().unique_posts().is_none() {
        return not_applicable("unique_posts");
    }
    let (first, second, other, key) = (some_message(), some_message(), some_message(), key("a", HOUR));
    let mut transaction = subject.begin().await;
    let deposited = deposit_unique(subject, &mut transaction, &first, &key).await;
    assert_eq!(deposited, UniqueDeposit::Stored { is_new: true });
    let again = deposit_unique(subject, &mut transaction, &second, &key).await;
    assert_held(again, &first.header.id, &key);
    subject.commit(transaction).await;

    let mut transaction = subject.begin().await;
    let again = deposit_unique(subject, &mut transaction, &second, &key).await;
    assert_held(again, &first.header.id, &key);
    deposit(subject, &mut transaction, std::slice::from_ref(&other)).await;
    subject.commit(transaction).await;
    let stored = get(subject, &[first.clone(), second, other.clone()]).await;
    assert_eq!(stored, [first, other]);
}

/// Checks that a key of a transaction that is rolled back is free, and its message is not stored.
pub async fn a_key_that_is_rolled_back_is_free<S: TransactionalOutbox>(subject: &S) {
    if subject.outbox().unique_posts().is_none() {
        return not_applicable("unique_posts");
    }
    let (first, second, key) = (some_message(), some_message(), key("a", HOUR));
    let mut transaction = subject.begin().await;
    deposit_unique(subject, &mut transaction, &first, &key).await;
    subject.rollback(transaction).await;
    let mut transaction = subject.begin().await;
    let deposited = deposit_unique(subject, &mut transaction, &second, &key).await;
    assert_eq!(deposited, UniqueDeposit::Stored { is_new: true });
    subject.commit(transaction).await;
    assert_eq!(get(subject, &[first, second.clone()]).await, [second]);
}

/// Deposits a message with a key in a transaction that ends while another one deposits with the same key. Returns the
/// messages of both, and what the other was told.
async fn race<S: TransactionalOutbox>(
    subject: &S,
    key: &UniqueKey,
    commits: bool,
) -> ([Message; 2], UniqueDeposit) {
    let [first, second] = [some_message(), some_message()];
    let mut transaction = subject.begin().await;
    deposit_unique(subject, &mut transaction, &first, key).await;
    let other = async {
        let mut transaction = subject.begin().await;
        let deposited = deposit_unique(subject, &mut transaction, &second, key).await;
        subject.commit(transaction).await;
        deposited
    };
    let one = async {
        // Long enough for the other to come to the key, where it waits; if it comes later, it finds the same.
        tokio::time::sleep(Duration::from_millis(100)).await;
        match commits {
            true => subject.commit(transaction).await,
            false => subject.rollback(transaction).await,
        }
    };
    let ((), deposited) = futures_util::future::join(one, other).await;
    ([first, second], deposited)
}

/// Checks that of two transactions with one key, the second is told the id of the first once that is committed.
pub async fn of_two_transactions_at_once_one_takes_the_key<S: TransactionalOutbox>(subject: &S) {
    if subject.outbox().unique_posts().is_none() {
        return not_applicable("unique_posts");
    }
    let key = key("a", HOUR);
    let ([first, second], deposited) = race(subject, &key, true).await;
    assert_held(deposited, &first.header.id, &key);
    assert_eq!(get(subject, &[first.clone(), second]).await, [first]);
}

/// Checks that the second of two transactions with one key takes it once the first is rolled back.
pub async fn a_key_that_is_rolled_back_goes_to_the_transaction_that_waits<S: TransactionalOutbox>(
    subject: &S,
) {
    if subject.outbox().unique_posts().is_none() {
        return not_applicable("unique_posts");
    }
    let ([first, second], deposited) = race(subject, &key("a", HOUR), false).await;
    assert_eq!(deposited, UniqueDeposit::Stored { is_new: true });
    assert_eq!(get(subject, &[first, second.clone()]).await, [second]);
}
