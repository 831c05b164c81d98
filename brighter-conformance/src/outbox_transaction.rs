//! What every [`OutboxTransaction`] must do, one function for each, made into tests by
//! `outbox_transaction_contract!`.

use std::time::Duration;

use super::outbox::some_message;
use brighter_core::id::MessageId;
use brighter_core::message::Message;
use brighter_core::outbox::{Claim, MessageState, Outbox, OutboxTransaction};

/// An empty outbox, with the way its transactions begin and end.
pub trait Transactional {
    /// The outbox.
    type Outbox: Outbox;
    /// Its transactions.
    type Transaction: OutboxTransaction<Self::Outbox>;

    /// The outbox.
    fn outbox(&self) -> &Self::Outbox;

    /// Begins a transaction.
    fn begin(&self) -> impl Future<Output = Self::Transaction>;

    /// Commits a transaction.
    fn commit(&self, transaction: Self::Transaction) -> impl Future<Output = ()>;

    /// Rolls a transaction back.
    fn rollback(&self, transaction: Self::Transaction) -> impl Future<Output = ()>;
}

/// Makes a module of tests, one for each thing that an [`OutboxTransaction`] must do.
///
/// The second argument is called for each of them without arguments, and gives a [`Transactional`] with an
/// empty outbox.
///
/// ```
/// use brighter::outbox::InMemoryTransaction;
/// use brighter::testing::outbox_transaction::Transactional;
/// use brighter::InMemoryOutbox;
///
/// struct InMemory(InMemoryOutbox);
///
/// impl Transactional for InMemory {
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
            what_is_cancelled_is_committed_with_the_rest,
            what_is_rescheduled_is_committed_with_the_rest,
        ] }
    };
}

async fn deposit<S: Transactional>(subject: &S, transaction: &mut S::Transaction, messages: &[Message]) {
    transaction
        .deposit(subject.outbox(), messages)
        .await
        .expect("deposit");
}

async fn get<S: Transactional>(subject: &S, messages: &[Message]) -> Vec<Message> {
    let ids: Vec<MessageId> = messages.iter().map(|message| message.header.id.clone()).collect();
    subject.outbox().get(&ids).await.expect("get")
}

/// Several deposits in one transaction are claimed in their order once it is committed.
pub async fn what_is_committed_is_stored<S: Transactional>(subject: &S) {
    let messages = [some_message(), some_message(), some_message()];
    let mut transaction = subject.begin().await;
    deposit(subject, &mut transaction, &messages[..2]).await;
    deposit(subject, &mut transaction, &[]).await;
    deposit(subject, &mut transaction, &messages[2..]).await;
    subject.commit(transaction).await;
    assert_eq!(get(subject, &messages).await, messages);

    let all = Claim::oldest(10, Duration::ZERO);
    let claimed = subject
        .outbox()
        .claim(all, Duration::from_secs(3600))
        .await
        .expect("claim");
    let claimed: Vec<Message> = claimed.into_iter().map(|it| it.message).collect();
    assert_eq!(claimed, messages);
}

/// A transaction that is rolled back leaves nothing, and the next may store the same.
pub async fn what_is_rolled_back_is_not_stored<S: Transactional>(subject: &S) {
    let messages = [some_message()];
    let mut transaction = subject.begin().await;
    deposit(subject, &mut transaction, &messages).await;
    subject.rollback(transaction).await;
    nothing_is_left(subject, &messages).await;
}

/// A transaction that is dropped leaves nothing, and the next may store the same.
pub async fn what_is_dropped_is_not_stored<S: Transactional>(subject: &S) {
    let messages = [some_message()];
    let mut transaction = subject.begin().await;
    deposit(subject, &mut transaction, &messages).await;
    drop(transaction);
    nothing_is_left(subject, &messages).await;
}

async fn nothing_is_left<S: Transactional>(subject: &S, messages: &[Message]) {
    assert!(get(subject, messages).await.is_empty());
    assert_eq!(subject.outbox().status().await.expect("status").outstanding, 0);
    let mut transaction = subject.begin().await;
    deposit(subject, &mut transaction, messages).await;
    subject.commit(transaction).await;
    assert_eq!(get(subject, messages).await, messages);
}

/// What is deposited is nobody's business until it is committed.
pub async fn nobody_sees_it_before_the_commit<S: Transactional>(subject: &S) {
    let messages = [some_message()];
    let mut transaction = subject.begin().await;
    deposit(subject, &mut transaction, &messages).await;
    assert!(get(subject, &messages).await.is_empty());
    assert_eq!(subject.outbox().status().await.expect("status").outstanding, 0);
    subject.commit(transaction).await;
    assert_eq!(get(subject, &messages).await, messages);
}

/// A message that the outbox holds already is left as it is, and the transaction goes on.
pub async fn an_id_that_is_there_is_left_as_it_is<S: Transactional>(subject: &S) {
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

/// What is to wait for its time is stored with the transaction, or not at all.
pub async fn what_is_scheduled_is_committed_with_the_rest<S: Transactional>(subject: &S) {
    let (lost, kept) = (some_message(), some_message());
    let hour = Duration::from_secs(3600);
    let outbox = subject.outbox();
    let mut transaction = subject.begin().await;
    transaction.schedule(outbox, &lost, hour).await.expect("schedule");
    subject.rollback(transaction).await;
    let mut transaction = subject.begin().await;
    transaction.schedule(outbox, &kept, hour).await.expect("schedule");
    assert_eq!(outbox.status().await.expect("status").scheduled, 0);
    subject.commit(transaction).await;
    assert_eq!(outbox.status().await.expect("status").scheduled, 1);
    assert_eq!(get(subject, &[lost, kept.clone()]).await, [kept]);
}

const HOUR: Duration = Duration::from_secs(3600);

async fn scheduled<S: Transactional>(subject: &S) -> Message {
    let message = some_message();
    subject.outbox().schedule(&message, HOUR).await.expect("schedule");
    message
}

async fn due_in<S: Transactional>(subject: &S, message: &Message) -> Option<Duration> {
    match subject.outbox().state(&message.header.id).await.expect("state") {
        Some(MessageState::Scheduled { due_in, .. }) => Some(due_in),
        None => None,
        other => panic!("{other:?}"),
    }
}

/// What is cancelled goes with the commit, and waits as before after a rollback. What the transaction has scheduled
/// itself can be cancelled too; what is outstanding or unknown cannot.
pub async fn what_is_cancelled_is_committed_with_the_rest<S: Transactional>(subject: &S) {
    let (outbox, message, paid) = (subject.outbox(), scheduled(subject).await, some_message());
    let id = &message.header.id;
    let mut transaction = subject.begin().await;
    assert!(transaction.cancel(outbox, id).await.expect("cancel"));
    assert!(!transaction.cancel(outbox, id).await.expect("cancel"));
    subject.rollback(transaction).await;
    assert!(due_in(subject, &message).await.is_some());

    let mut transaction = subject.begin().await;
    let own = some_message();
    transaction.schedule(outbox, &own, HOUR).await.expect("schedule");
    assert!(transaction.cancel(outbox, id).await.expect("cancel"));
    assert!(transaction.cancel(outbox, &own.header.id).await.expect("cancel"));
    deposit(subject, &mut transaction, std::slice::from_ref(&paid)).await;
    subject.commit(transaction).await;
    let left = get(subject, &[message.clone(), own, paid.clone()]).await;
    assert_eq!(left, std::slice::from_ref(&paid));

    let mut transaction = subject.begin().await;
    assert!(!transaction.cancel(outbox, id).await.expect("cancel"));
    assert!(!transaction.cancel(outbox, &paid.header.id).await.expect("cancel"));
    // The id is free again.
    deposit(subject, &mut transaction, std::slice::from_ref(&message)).await;
    subject.commit(transaction).await;
    assert_eq!(get(subject, std::slice::from_ref(&message)).await, [message]);
}

/// A new time holds from the commit on, and the old one after a rollback.
pub async fn what_is_rescheduled_is_committed_with_the_rest<S: Transactional>(subject: &S) {
    let (outbox, message) = (subject.outbox(), scheduled(subject).await);
    let id = &message.header.id;
    let mut transaction = subject.begin().await;
    let later = transaction.reschedule(outbox, id, 3 * HOUR).await;
    assert!(later.expect("reschedule"));
    subject.rollback(transaction).await;
    assert!(
        due_in(subject, &message)
            .await
            .is_some_and(|due_in| due_in <= HOUR)
    );

    let mut transaction = subject.begin().await;
    let later = transaction.reschedule(outbox, id, 3 * HOUR).await;
    assert!(later.expect("reschedule"));
    let unknown = transaction.reschedule(outbox, &MessageId::new(), HOUR).await;
    assert!(!unknown.expect("reschedule"));
    subject.commit(transaction).await;
    assert!(
        due_in(subject, &message)
            .await
            .is_some_and(|due_in| due_in > HOUR)
    );
    assert!(outbox.cancel(id).await.expect("cancel"));
}
