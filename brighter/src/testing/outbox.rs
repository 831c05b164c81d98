//! What every [`Outbox`] must do, one function for each, made into tests by
//! [`outbox_contract!`](crate::outbox_contract).
//!
//! Each wants an empty outbox that nobody else uses, and panics when the outbox does something else than it
//! must. None waits longer than ten seconds for what time brings, and none takes for granted that the
//! machine is fast.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::eventually;
use crate::id::MessageId;
use crate::message::{Message, MessageBody, MessageHeader, MessageType};
use crate::outbox::{Claim, Claimed, Failure, Outbox};

/// Makes a module of tests, one for each thing that an [`Outbox`] must do.
///
/// The second argument is called for each of them without arguments, gives an empty outbox, and beside it
/// whatever must live as long: a temporary folder, a server, or `()`.
///
/// ```
/// use brighter::InMemoryOutbox;
///
/// brighter::outbox_contract!(in_memory, async || (InMemoryOutbox::new(), ()));
/// ```
#[macro_export]
macro_rules! outbox_contract {
    ($module:ident, $make:expr) => {
        $crate::outbox_contract! { @tests $module, $make, [
            what_is_deposited_comes_out,
            the_oldest_come_first_and_no_more_than_asked,
            the_young_are_left,
            what_is_claimed_is_not_claimed_again,
            a_claim_ends_with_its_lease,
            a_deposit_may_be_claimed_from_the_start,
            ids_are_claimed_if_outstanding_and_free,
            what_is_dispatched_is_never_claimed_again,
            a_failure_is_counted_and_left_alone,
            what_is_released_is_claimable_at_once,
            an_id_is_stored_once,
            get_gives_them_in_the_order_of_the_ids,
            status_tells_how_many_and_how_old,
            every_header_and_every_byte_comes_back,
            nothing_asked_is_nothing_done,
            the_longest_times_are_no_mistake,
            any_number_of_ids_goes_in_one_call,
            two_claimers_share_and_never_overlap,
        ] }
    };
    (@tests $module:ident, $make:expr, [$($behaviour:ident,)*]) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            $(
                #[test]
                fn $behaviour() {
                    $crate::testing::run(async {
                        let (outbox, _kept) = ($make)().await;
                        $crate::testing::outbox::$behaviour(&outbox).await;
                    });
                }
            )*
        }
    };
}

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(50);

/// A message to test with: new, and like no other.
#[must_use]
pub fn some_message() -> Message {
    message_of(MessageId::new())
}

fn message_of(id: MessageId) -> Message {
    let body = format!(r#"{{"id":"{id}"}}"#);
    Message::new(
        MessageHeader::new(id, "Task.Reminder", MessageType::Command),
        MessageBody::new(body),
    )
}

fn some_messages(count: usize) -> Vec<Message> {
    (0..count).map(|_| some_message()).collect()
}

fn ids(messages: &[Message]) -> Vec<MessageId> {
    messages.iter().map(|message| message.header.id.clone()).collect()
}

fn claimed_ids(claimed: &[Claimed]) -> Vec<MessageId> {
    claimed.iter().map(|it| it.message.header.id.clone()).collect()
}

async fn deposit(outbox: &impl Outbox, messages: &[Message]) {
    outbox.deposit(messages, None).await.expect("deposit");
}

async fn claim_oldest(outbox: &impl Outbox, limit: usize, lease: Duration) -> Vec<Claimed> {
    let min_age = Duration::ZERO;
    let claimed = outbox.claim(Claim::Oldest { limit, min_age }, lease).await;
    claimed.expect("claim the oldest")
}

async fn claim_ids(outbox: &impl Outbox, ids: &[MessageId], lease: Duration) -> Vec<Claimed> {
    outbox.claim(Claim::Ids(ids), lease).await.expect("claim ids")
}

/// Claims the oldest until there are some.
async fn claim_eventually(outbox: &impl Outbox, what: &str) -> Vec<Claimed> {
    eventually(what, async || {
        let claimed = claim_oldest(outbox, 100, LONG).await;
        (!claimed.is_empty()).then_some(claimed)
    })
    .await
}

/// A message comes out as it went in, and has not failed.
pub async fn what_is_deposited_comes_out(outbox: &impl Outbox) {
    let message = some_message();
    deposit(outbox, std::slice::from_ref(&message)).await;
    let claimed = claim_oldest(outbox, 10, LONG).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].message, message);
    assert_eq!(claimed[0].attempts, 0);
}

/// The order is that of the deposits, not that of the ids; a claim takes what it asked for and no more.
pub async fn the_oldest_come_first_and_no_more_than_asked(outbox: &impl Outbox) {
    let mut messages = some_messages(5);
    messages.reverse();
    deposit(outbox, &messages[..2]).await;
    deposit(outbox, &messages[2..]).await;
    let expected = ids(&messages);
    assert_eq!(claimed_ids(&claim_oldest(outbox, 3, LONG).await), expected[..3]);
    assert_eq!(claimed_ids(&claim_oldest(outbox, 3, LONG).await), expected[3..]);
}

/// A message younger than was asked for is not claimed, and is when it is old enough.
pub async fn the_young_are_left(outbox: &impl Outbox) {
    deposit(outbox, &[some_message()]).await;
    let older_than = |min_age| Claim::Oldest { limit: 10, min_age };
    let claimed = outbox.claim(older_than(LONG), LONG).await.expect("claim");
    assert!(claimed.is_empty(), "it is not that old");
    eventually("it is old enough", async || {
        outbox.claim(older_than(SHORT), LONG).await.expect("claim").pop()
    })
    .await;
}

/// What one has claimed, no other gets while the lease lives.
pub async fn what_is_claimed_is_not_claimed_again(outbox: &impl Outbox) {
    let messages = some_messages(2);
    deposit(outbox, &messages).await;
    assert_eq!(claim_oldest(outbox, 10, LONG).await.len(), 2);
    assert!(claim_oldest(outbox, 10, LONG).await.is_empty());
    assert!(claim_ids(outbox, &ids(&messages), LONG).await.is_empty());
}

/// What nobody marked is claimed again when the lease is over, and that is no failure.
pub async fn a_claim_ends_with_its_lease(outbox: &impl Outbox) {
    deposit(outbox, &[some_message()]).await;
    assert_eq!(claim_oldest(outbox, 10, SHORT).await.len(), 1);
    let again = claim_eventually(outbox, "the lease ended").await;
    assert_eq!(again[0].attempts, 0);
}

/// Messages deposited with a lease belong to who deposited them until it is over.
pub async fn a_deposit_may_be_claimed_from_the_start(outbox: &impl Outbox) {
    let messages = some_messages(2);
    let (long, short) = (&messages[..1], &messages[1..]);
    outbox.deposit(long, Some(LONG)).await.expect("deposit");
    outbox.deposit(short, Some(SHORT)).await.expect("deposit");
    let claimed = claim_eventually(outbox, "the short lease ended").await;
    assert_eq!(claimed_ids(&claimed), ids(short));
    assert!(claim_ids(outbox, &ids(long), LONG).await.is_empty());
    outbox.release(&ids(long)).await.expect("release");
    assert_eq!(claimed_ids(&claim_oldest(outbox, 10, LONG).await), ids(long));
}

/// Of the ids asked for, those are given that are there, not dispatched and not claimed, the oldest first.
pub async fn ids_are_claimed_if_outstanding_and_free(outbox: &impl Outbox) {
    let messages = some_messages(5);
    let all = ids(&messages);
    deposit(outbox, &messages).await;
    outbox.mark_dispatched(&all[..1]).await.expect("mark dispatched");
    assert_eq!(claim_ids(outbox, &all[1..2], LONG).await.len(), 1);

    let asked = [&all[3], &MessageId::new(), &all[2], &all[1], &all[0], &all[2]].map(Clone::clone);
    assert_eq!(claimed_ids(&claim_ids(outbox, &asked, LONG).await), all[2..4]);
    assert_eq!(claimed_ids(&claim_oldest(outbox, 10, LONG).await), all[4..]);
}

/// Not by age, not by id, not after a late failure or release, not when it is deposited again.
pub async fn what_is_dispatched_is_never_claimed_again(outbox: &impl Outbox) {
    let messages = some_messages(2);
    let all = ids(&messages);
    deposit(outbox, &messages).await;
    claim_oldest(outbox, 1, SHORT).await;
    outbox.mark_dispatched(&all).await.expect("mark dispatched");
    outbox.mark_dispatched(&all).await.expect("mark dispatched again");
    let late = Failure::new(all[0].clone(), "late", Duration::ZERO);
    outbox.mark_failed(&[late]).await.expect("mark failed");
    outbox.release(&all).await.expect("release");
    deposit(outbox, &messages).await;
    assert!(claim_oldest(outbox, 10, LONG).await.is_empty());
    assert!(claim_ids(outbox, &all, LONG).await.is_empty());
    assert_eq!(outbox.status().await.expect("status").outstanding, 0);
}

/// A failure is counted, ends the claim, and keeps the message from those who ask by age, until it is due;
/// who asks for it by its id gets it at once.
pub async fn a_failure_is_counted_and_left_alone(outbox: &impl Outbox) {
    let messages = some_messages(2);
    let all = ids(&messages);
    deposit(outbox, &messages).await;
    claim_oldest(outbox, 10, LONG).await;
    let fail = async |id: &MessageId, retry_after| {
        let failure = Failure::new(id.clone(), "no route: \"ünï\0\"", retry_after);
        outbox.mark_failed(&[failure]).await.expect("mark failed");
    };
    fail(&all[0], LONG).await;
    fail(&all[1], SHORT).await;
    let due = claim_eventually(outbox, "the second message is due").await;
    assert_eq!(claimed_ids(&due), all[1..], "the first message is not due");
    assert_eq!(due[0].attempts, 1);

    fail(&all[1], Duration::ZERO).await;
    assert_eq!(claim_eventually(outbox, "it is due at once").await[0].attempts, 2);

    let asked = claim_ids(outbox, &all[..1], LONG).await;
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].attempts, 1);
}

/// A claim that is given back has not failed.
pub async fn what_is_released_is_claimable_at_once(outbox: &impl Outbox) {
    let messages = some_messages(3);
    let all = ids(&messages);
    deposit(outbox, &messages).await;
    claim_oldest(outbox, 10, LONG).await;
    outbox.release(&all[1..]).await.expect("release");
    let claimed = claim_oldest(outbox, 10, LONG).await;
    assert_eq!(claimed_ids(&claimed), all[1..]);
    assert_eq!(claimed[0].attempts, 0);
}

/// Of two messages with one id the first stays, as it is and where it is.
pub async fn an_id_is_stored_once(outbox: &impl Outbox) {
    let first = some_message();
    let id = first.header.id.clone();
    let mut second = first.clone();
    second.body = MessageBody::new("another body");
    let other = some_message();
    deposit(outbox, &[first.clone(), second.clone()]).await;
    deposit(outbox, &[second.clone(), other.clone()]).await;
    assert_eq!(outbox.status().await.expect("status").outstanding, 2);
    assert_eq!(claim_oldest(outbox, 10, LONG).await[0].message, first);
    deposit(outbox, &[second]).await;
    assert!(claim_oldest(outbox, 10, LONG).await.is_empty(), "its claim stays");
    assert_eq!(outbox.get(&[id]).await.expect("get"), [first]);
}

/// What is not there is left out; what was dispatched is still there.
pub async fn get_gives_them_in_the_order_of_the_ids(outbox: &impl Outbox) {
    let messages = some_messages(3);
    let all = ids(&messages);
    deposit(outbox, &messages).await;
    outbox.mark_dispatched(&all[..1]).await.expect("mark dispatched");
    let asked = [&all[2], &MessageId::new(), &all[0]].map(Clone::clone);
    let got = outbox.get(&asked).await.expect("get");
    assert_eq!(got, [messages[2].clone(), messages[0].clone()]);
}

/// Claimed and failed messages are outstanding too.
pub async fn status_tells_how_many_and_how_old(outbox: &impl Outbox) {
    let status = outbox.status().await.expect("status");
    assert_eq!((status.outstanding, status.oldest), (0, None));

    let messages = some_messages(4);
    let all = ids(&messages);
    deposit(outbox, &messages).await;
    eventually("it gets older", async || {
        let oldest = outbox.status().await.expect("status").oldest;
        (oldest.expect("there are some") >= SHORT).then_some(())
    })
    .await;
    claim_oldest(outbox, 2, LONG).await;
    let failure = Failure::new(all[0].clone(), "no", LONG);
    outbox.mark_failed(&[failure]).await.expect("mark failed");
    outbox.mark_dispatched(&all[3..]).await.expect("mark dispatched");
    assert_eq!(outbox.status().await.expect("status").outstanding, 3);
}

/// Nothing is lost, changed or cut, whatever it is.
pub async fn every_header_and_every_byte_comes_back(outbox: &impl Outbox) {
    let texts = [
        "",
        "plain",
        "'; DROP TABLE messages; --",
        "ünï 漢字 🦀",
        "a\0b\n\t\"\\\u{7f}",
        "%_?$1",
    ];
    let mut messages: Vec<Message> = texts.map(|text| message_of(MessageId::from(text))).into();
    for (text, message) in texts.iter().zip(&mut messages) {
        let header = &mut message.header;
        header.topic = format!("Topic.{text}").into();
        header.message_type = MessageType::Document;
        header.timestamp = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_700);
        header.correlation_id = Some(MessageId::from(*text));
        header.content_type = format!("text/{text}").into();
        header.handled_count = u32::MAX;
        header.bag.insert(*text, *text);
        header.bag.insert("yes", true);
        header.bag.insert("smallest", i64::MIN);
        header.bag.insert("largest", i64::MAX);
        for (name, number) in [
            ("whole", 3.0),
            ("third", 1.0 / 3.0),
            ("huge", f64::MAX),
            ("tiny", 5e-324),
        ] {
            header.bag.insert(name, number);
        }
        message.body = MessageBody::new((0..=u8::MAX).chain(text.bytes()).collect::<Vec<u8>>());
    }
    let mut event = some_message();
    event.header.message_type = MessageType::Event;
    event.body = MessageBody::default();
    let mut large = some_message();
    large.body = MessageBody::new(vec![0xa5; 3 << 20]);
    messages.extend([event, large]);

    deposit(outbox, &messages).await;
    assert_eq!(outbox.get(&ids(&messages)).await.expect("get"), messages);
    let claimed = claim_ids(outbox, &ids(&messages), LONG).await;
    let claimed: Vec<Message> = claimed.into_iter().map(|it| it.message).collect();
    assert_eq!(claimed, messages);
    outbox
        .mark_dispatched(&ids(&messages))
        .await
        .expect("mark dispatched");
    assert_eq!(outbox.status().await.expect("status").outstanding, 0);
}

/// An empty list is no mistake.
pub async fn nothing_asked_is_nothing_done(outbox: &impl Outbox) {
    deposit(outbox, &[some_message()]).await;
    deposit(outbox, &[]).await;
    assert!(claim_ids(outbox, &[], LONG).await.is_empty());
    assert!(claim_oldest(outbox, 0, LONG).await.is_empty());
    outbox.mark_dispatched(&[]).await.expect("mark dispatched");
    outbox.mark_failed(&[]).await.expect("mark failed");
    outbox.release(&[]).await.expect("release");
    assert!(outbox.get(&[]).await.expect("get").is_empty());
    assert_eq!(claim_oldest(outbox, 10, LONG).await.len(), 1);
}

/// A time beyond every clock means for ever; the longest list means all.
pub async fn the_longest_times_are_no_mistake(outbox: &impl Outbox) {
    let messages = some_messages(3);
    let all = ids(&messages);
    outbox
        .deposit(&messages[..1], Some(Duration::MAX))
        .await
        .expect("deposit");
    deposit(outbox, &messages[1..]).await;
    let ancient = Claim::Oldest {
        limit: usize::MAX,
        min_age: Duration::MAX,
    };
    assert!(outbox.claim(ancient, LONG).await.expect("claim").is_empty());
    assert_eq!(
        claimed_ids(&claim_oldest(outbox, usize::MAX, Duration::MAX).await),
        all[1..]
    );
    let failure = Failure::new(all[1].clone(), "no", Duration::MAX);
    outbox.mark_failed(&[failure]).await.expect("mark failed");
    assert!(claim_oldest(outbox, usize::MAX, LONG).await.is_empty());
}

/// Databases limit how many parameters a statement has; that must not be seen.
pub async fn any_number_of_ids_goes_in_one_call(outbox: &impl Outbox) {
    let messages = some_messages(1);
    let mut asked: Vec<MessageId> = (0..70_000).map(|_| MessageId::new()).collect();
    asked.extend(ids(&messages));
    deposit(outbox, &messages).await;
    assert_eq!(outbox.get(&asked).await.expect("get"), messages);
    assert_eq!(claim_ids(outbox, &asked, LONG).await.len(), 1);
    outbox.release(&asked).await.expect("release");
    outbox.mark_dispatched(&asked).await.expect("mark dispatched");
    assert_eq!(outbox.status().await.expect("status").outstanding, 0);
}

/// Two who claim at the same time get every message between them, and none both.
pub async fn two_claimers_share_and_never_overlap(outbox: &impl Outbox) {
    let messages = some_messages(1_000);
    deposit(outbox, &messages).await;
    let claimer = async || {
        let mut mine = Vec::new();
        loop {
            let claimed = claimed_ids(&claim_oldest(outbox, 7, LONG).await);
            if claimed.is_empty() {
                return mine;
            }
            outbox.mark_dispatched(&claimed).await.expect("mark dispatched");
            mine.extend(claimed);
            tokio::task::yield_now().await;
        }
    };
    let (first, second) = tokio::join!(claimer(), claimer());
    assert_eq!(first.len() + second.len(), messages.len());
    let both: BTreeSet<MessageId> = first.into_iter().chain(second).collect();
    assert_eq!(both, ids(&messages).into_iter().collect());
}
