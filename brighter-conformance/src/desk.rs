//! The behaviours of every [`DeskStore`], one function for each. `desk_contract!` makes tests of them.
//!
//! Each function needs an empty store that nothing else uses, and panics if the store behaves differently.

use std::time::{Duration, SystemTime};

use super::eventually;
use brighter_core::channel::{Rejection, RejectionKind};
use brighter_core::desk::{
    BulkClaim, BulkCounts, BulkState, BulkVerb, DeskError, DeskFilter, DeskId, DeskMessage, DeskRowView,
    DeskState, DeskStore, ItemResult, ItemState, NewBulk, NewDeskMessage, OperationId, Steering, Taken,
};
use brighter_core::id::MessageId;
use brighter_core::message::{Message, MessageBody, MessageHeader, MessageType};

/// Makes a module with one test for each behaviour of a [`DeskStore`].
///
/// The second argument is called without arguments for each test. It returns an empty store, and a value that must live
/// as long: a temporary folder, a server, or `()`.
///
/// ```
/// use brighter::desk::InMemoryDesk;
///
/// brighter::desk_contract!(in_memory, async || (InMemoryDesk::new(), ()));
/// ```
#[macro_export]
macro_rules! desk_contract {
    ($module:ident, $make:expr) => {
        $crate::__contract_tests! { $module, $make, (desk, _kept) => desk, desk, [
            hostile_messages_are_kept_to_the_byte,
            a_delivery_that_comes_twice_is_kept_once,
            another_death_is_noted_at_the_row_of_the_message,
            one_id_with_two_contents_is_two_messages,
            messages_that_died_alike_are_one_group,
            a_filter_chooses_what_its_words_say,
            pages_follow_each_other,
            a_selection_is_frozen,
            an_operation_belongs_to_one_process_at_a_time,
            what_was_being_sent_comes_first_after_a_death,
            who_has_lost_the_lease_changes_nothing,
            what_comes_back_waits_again,
            what_dies_before_it_is_recorded_has_come_back,
            what_does_not_come_back_is_handled,
            what_cannot_be_sent_waits_again,
            what_is_redirected_is_archived_at_once,
            archiving_keeps_and_deleting_removes,
            what_has_changed_since_the_selection_is_skipped,
            what_is_stopped_leaves_the_rest_untouched,
            an_edited_message_that_dies_is_another_one,
            a_forged_mark_changes_no_operation,
            an_audit_tells_who_did_what,
            two_processes_that_take_the_same_keep_it_once,
        ] }
    };
}

const LEASE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

/// Returns a message that was rejected for this reason.
fn dead_as(id: MessageId, channel: &str, reason: &str, body: &[u8]) -> NewDeskMessage {
    let mut header = MessageHeader::new(id, "Order.Placed", MessageType::Event);
    header.timestamp = SystemTime::UNIX_EPOCH;
    let rejection = Rejection::new(RejectionKind::DeadLetter, reason);
    rejection.by_handler("TakeOrder", "failed").annotate(&mut header);
    taken_from(channel, Message::new(header, MessageBody::new(body.to_vec())))
}

fn taken_from(channel: &str, message: Message) -> NewDeskMessage {
    let source = format!("{channel}.dlq").into();
    NewDeskMessage::new(message, source, Some(channel.into()), RejectionKind::DeadLetter).expect("JSON")
}

fn dead(reason: &str) -> NewDeskMessage {
    dead_as(MessageId::new(), "orders", reason, b"{}")
}

/// Returns a message that was sent back, as it is rejected again.
fn dead_again(message: Message, reason: &str) -> NewDeskMessage {
    let mut message = message;
    Rejection::new(RejectionKind::DeadLetter, reason).annotate(&mut message.header);
    taken_from("orders", message)
}

async fn take(desk: &impl DeskStore, messages: &[NewDeskMessage]) -> Vec<Taken> {
    desk.take(messages).await.expect("take")
}

/// Takes so many messages, and returns their rows, the oldest first.
async fn filled(desk: &impl DeskStore, messages: usize) -> Vec<DeskId> {
    let all: Vec<_> = (0..messages)
        .map(|number| dead(&format!("no {number}")))
        .collect();
    take(desk, &all).await;
    let mut rows = rows(desk, "").await;
    rows.reverse();
    rows
}

fn filter(text: &str) -> DeskFilter {
    text.parse().expect("a filter")
}

async fn rows(desk: &impl DeskStore, text: &str) -> Vec<DeskId> {
    let rows = desk.list(&filter(text), None, 10_000).await.expect("list");
    rows.iter().map(|row| row.id).collect()
}

async fn read(desk: &impl DeskStore, id: DeskId) -> DeskMessage {
    desk.read(id).await.expect("read").expect("a message")
}

async fn state(desk: &impl DeskStore, id: DeskId) -> DeskState {
    read(desk, id).await.row.state
}

async fn waiting(desk: &impl DeskStore) -> u64 {
    let groups = desk.groups(1_000).await.expect("groups");
    let counted: u64 = groups.iter().map(|group| group.waiting).sum();
    let listed = rows(desk, "state=waiting").await.len() as u64;
    assert_eq!(counted, listed, "the groups count what waits");
    counted
}

/// Begins an operation, and claims it.
async fn begun(desk: &impl DeskStore, plan: NewBulk) -> BulkClaim {
    let operation = desk.begin(&plan).await.expect("begin");
    let claim = desk.claim(Some(operation.id), LEASE).await.expect("claim");
    claim.expect("nobody else has it")
}

fn retry() -> NewBulk {
    NewBulk::new(BulkVerb::Retry, DeskFilter::default(), "ann")
}

async fn next(desk: &impl DeskStore, claim: BulkClaim, limit: usize) -> Vec<DeskMessage> {
    desk.next(claim, limit, LEASE).await.expect("next")
}

async fn record(desk: &impl DeskStore, claim: BulkClaim, messages: &[DeskMessage]) {
    let results: Vec<_> = messages
        .iter()
        .map(|message| ItemResult {
            row: message.row.id,
            failure: None,
        })
        .collect();
    desk.record(claim, &results, LEASE).await.expect("record");
}

async fn counts(desk: &impl DeskStore, id: OperationId) -> BulkCounts {
    let operation = desk.operation(id).await.expect("operation");
    operation.expect("it is there").counts
}

#[allow(missing_docs)]
pub async fn hostile_messages_are_kept_to_the_byte(desk: &impl DeskStore) {
    let bodies: [Vec<u8>; 5] = [
        b"\0\x01\x1b[31m\xff\xfe<script>\xe2\x80\xae".to_vec(),
        (0..=255).collect(),
        Vec::new(),
        b"'; DROP TABLE brighter_desk; --".to_vec(),
        (0..5_000_000_u32).map(|byte| (byte % 251) as u8).collect(),
    ];
    for body in bodies {
        let mut new = dead_as(MessageId::new(), "orders", "no\0 <b>\u{202e}\u{1b}[31m", &body);
        let mut message = new.message.clone();
        for name in ["a\0b", "<script>", "\u{202e}rtl", "\u{1}0", "%{now}?1"] {
            message.header.bag.insert(name, "\0\u{1}1' \" \\ ?1 {table} <b>");
        }
        new = taken_from("orders", message);
        assert_eq!(take(desk, &[new.clone()]).await, [Taken::New]);
        let newest = rows(desk, "").await;
        let kept = read(desk, newest[0]).await;
        assert_eq!(kept.message, new.message);
        assert_eq!(kept.row.error, new.error);
    }
    let mut header = MessageHeader::new("an\0 id\u{1}".into(), "Order.Placed", MessageType::Event);
    for number in 0..10_000 {
        header.bag.insert(format!("header-{number}"), number);
    }
    let message = Message::new(header, MessageBody::new("{}"));
    take(desk, &[taken_from("orders", message.clone())]).await;
    let newest = rows(desk, "").await;
    assert_eq!(read(desk, newest[0]).await.message, message);
    assert_eq!(
        rows(desk, "id='an\0 id\u{1}'").await,
        [newest[0]],
        "it is found by its id"
    );
}

#[allow(missing_docs)]
pub async fn a_delivery_that_comes_twice_is_kept_once(desk: &impl DeskStore) {
    let (one, two) = (dead("no 1"), dead("no 2"));
    let both = [one.clone(), one.clone(), two.clone()];
    assert_eq!(take(desk, &both).await, [Taken::New, Taken::Known, Taken::New]);
    assert_eq!(take(desk, &both).await, [Taken::Known; 3]);
    assert_eq!(waiting(desk).await, 2);
    let first = *rows(desk, "").await.last().expect("a row");
    assert_eq!(read(desk, first).await.row.deaths, 1);
}

#[allow(missing_docs)]
pub async fn another_death_is_noted_at_the_row_of_the_message(desk: &impl DeskStore) {
    let id = MessageId::new();
    let first = dead_as(id.clone(), "orders", "no answer", b"{}");
    let second = dead_as(id, "orders", "no money", b"{}");
    assert_eq!(take(desk, std::slice::from_ref(&first)).await, [Taken::New]);
    assert_eq!(take(desk, std::slice::from_ref(&second)).await, [Taken::Again]);
    assert_eq!(
        take(desk, &[first]).await,
        [Taken::Known],
        "a late delivery of the first"
    );
    let all = rows(desk, "").await;
    let kept = read(desk, all[0]).await;
    assert_eq!((all.len(), kept.row.deaths), (1, 2));
    assert_eq!((&*kept.row.error, kept.row.group), ("no money", second.group));
    let errors: Vec<_> = kept.deaths.iter().map(|death| &*death.error).collect();
    assert_eq!(errors, ["no answer", "no money"]);
    assert_eq!(waiting(desk).await, 1);
}

#[allow(missing_docs)]
pub async fn one_id_with_two_contents_is_two_messages(desk: &impl DeskStore) {
    let id = MessageId::new();
    let all = [
        dead_as(id.clone(), "orders", "no", b"1"),
        dead_as(id.clone(), "orders", "no", b"2"),
        dead_as(id.clone(), "bills", "no", b"1"),
    ];
    assert_eq!(take(desk, &all).await, [Taken::New; 3]);
    assert_eq!(rows(desk, &format!("id={id}")).await.len(), 3);
}

#[allow(missing_docs)]
pub async fn messages_that_died_alike_are_one_group(desk: &impl DeskStore) {
    for kind in ["no answer within {}s", "no row {}", "order {} is closed"] {
        let some: Vec<_> = (0..20)
            .map(|n| dead(&kind.replace("{}", &n.to_string())))
            .collect();
        take(desk, &some).await;
    }
    take(desk, &[dead_as(MessageId::new(), "bills", "no row 1", b"")]).await;
    let groups = desk.groups(10).await.expect("groups");
    let seen: Vec<_> = groups.iter().map(|group| (group.waiting, group.deaths)).collect();
    assert_eq!(seen, [(20, 20), (20, 20), (20, 20), (1, 1)]);
    let answer = groups.iter().find(|group| group.pattern.contains("answer"));
    let answer = answer.expect("a group");
    assert_eq!(answer.pattern, "no answer within #");
    assert_eq!(answer.channel, "orders");
    assert_eq!(answer.handler.as_deref(), Some("TakeOrder"));
    assert_eq!(answer.error_type.as_deref(), Some("failed"));
    assert_eq!(answer.hours.iter().sum::<u64>(), 20);
    assert!(answer.first <= answer.last);
    let of_group = rows(desk, &DeskFilter::of_group(answer.key).to_string()).await;
    assert_eq!(of_group.len(), 20);
    assert_eq!(desk.groups(2).await.expect("groups").len(), 2);
}

#[allow(missing_docs)]
pub async fn a_filter_chooses_what_its_words_say(desk: &impl DeskStore) {
    let id = MessageId::new();
    take(
        desk,
        &[
            dead_as(id.clone(), "orders", "100% no_answer 'now'", b"{}"),
            dead_as(MessageId::new(), "bills", "No answer", b"{}"),
            dead("it's late"),
        ],
    )
    .await;
    let all = desk.list(&DeskFilter::default(), None, 10).await.expect("list");
    for text in [
        "error~answer",
        "error~'No answer'",
        "error~%",
        "error~no_answer",
        "error~\"'now'\"",
        "error~\"it's\"",
        "error='No answer'",
        "error!='No answer'",
        "channel=orders and error~late",
        "channel!=orders",
        "source~bills",
        "topic=Order.Placed",
        "type=MT_EVENT",
        "handler=TakeOrder",
        "error-type!=failed",
        "kind=dead",
        "kind=invalid",
        "state=waiting",
        "state!=waiting",
        "attempts=1",
        "attempts>1",
        "deaths<2",
        "row>1",
        "age<1h",
        "age>1h",
        &format!("id={id}"),
    ] {
        let filter = filter(text);
        let age = Duration::from_secs(1);
        let expected = all.iter().filter(|row| filter.matches(DeskRowView { row, age }));
        let expected: Vec<_> = expected.map(|row| row.id).collect();
        assert_eq!(rows(desk, text).await, expected, "{text}");
        let counted = desk.count(&filter, 100).await.expect("count");
        assert_eq!(counted, expected.len() as u64, "{text}");
    }
    assert_eq!(desk.count(&DeskFilter::default(), 2).await.expect("count"), 2);
}

#[allow(missing_docs)]
pub async fn pages_follow_each_other(desk: &impl DeskStore) {
    let all = filled(desk, 25).await;
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = desk
            .list(&filter("state=waiting"), before, 10)
            .await
            .expect("list");
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen.extend(page.iter().map(|row| row.id));
        // What comes meanwhile is on no page.
        take(desk, &[dead("late")]).await;
    }
    seen.reverse();
    assert_eq!(seen, all);
}

#[allow(missing_docs)]
pub async fn a_selection_is_frozen(desk: &impl DeskStore) {
    let chosen = filled(desk, 10).await;
    let claim = begun(desk, retry()).await;
    take(desk, &[dead("late"), dead("later")]).await;
    let mut seen = Vec::new();
    loop {
        let some = next(desk, claim, 4).await;
        if some.is_empty() {
            break;
        }
        seen.extend(some.iter().map(|message| message.row.id));
        record(desk, claim, &some).await;
    }
    assert_eq!(seen, chosen);
    assert_eq!(waiting(desk).await, 2);
    let some = begun(desk, retry().limit(1)).await;
    assert_eq!(counts(desk, some.operation).await.total(), 1);
    let items = desk
        .items(claim.operation, Some(chosen[2]), 3)
        .await
        .expect("items");
    let items: Vec<_> = items.iter().map(|item| (item.row, item.state)).collect();
    assert_eq!(items, [3, 4, 5].map(|at| (chosen[at], ItemState::Sent)));
}

#[allow(missing_docs)]
pub async fn an_operation_belongs_to_one_process_at_a_time(desk: &impl DeskStore) {
    filled(desk, 2).await;
    let operation = desk.begin(&retry()).await.expect("begin");
    assert_eq!(
        (operation.state, operation.counts.pending),
        (BulkState::Running, 2)
    );
    let first = desk.claim(None, SHORT).await.expect("claim").expect("a claim");
    assert_eq!(first.operation, operation.id);
    let second = eventually("the lease ended", async || {
        desk.claim(None, LEASE).await.expect("claim")
    })
    .await;
    assert_eq!(desk.claim(None, LEASE).await.expect("claim"), None);
    assert_eq!(desk.claim(Some(operation.id), LEASE).await.expect("claim"), None);
    desk.release(first)
        .await
        .expect("a claim that is lost is no error");
    assert_eq!(desk.claim(None, LEASE).await.expect("claim"), None);
    desk.release(second).await.expect("release");
    let third = desk.claim(None, LEASE).await.expect("claim").expect("a claim");
    desk.finish(third, BulkState::Done, "done").await.expect("finish");
    assert_eq!(desk.claim(None, LEASE).await.expect("claim"), None);
}

#[allow(missing_docs)]
pub async fn what_was_being_sent_comes_first_after_a_death(desk: &impl DeskStore) {
    let all = filled(desk, 5).await;
    let operation = desk.begin(&retry()).await.expect("begin");
    let first = desk.claim(None, SHORT).await.expect("claim").expect("a claim");
    let left = desk.next(first, 2, SHORT).await.expect("next");
    assert_eq!(waiting(desk).await, 3);
    let second = eventually("the lease ended", async || {
        desk.claim(Some(operation.id), LEASE).await.expect("claim")
    })
    .await;
    let again: Vec<_> = next(desk, second, 3).await;
    let ids: Vec<_> = again.iter().map(|message| message.row.id).collect();
    assert_eq!(ids, all[..3]);
    assert_eq!(again[0].anew(&operation.id), left[0].anew(&operation.id));
    record(desk, second, &again).await;
    let counts = counts(desk, operation.id).await;
    assert_eq!((counts.sent, counts.sending, counts.pending), (3, 0, 2));
}

#[allow(missing_docs)]
pub async fn who_has_lost_the_lease_changes_nothing(desk: &impl DeskStore) {
    filled(desk, 2).await;
    desk.begin(&retry()).await.expect("begin");
    let first = desk.claim(None, SHORT).await.expect("claim").expect("a claim");
    let some = desk.next(first, 2, SHORT).await.expect("next");
    eventually("the lease ended", async || {
        desk.claim(None, LEASE).await.expect("claim")
    })
    .await;
    let results = [ItemResult {
        row: some[0].row.id,
        failure: Some("late".into()),
    }];
    let lost = [
        desk.record(first, &results, LEASE).await.err(),
        desk.next(first, 1, LEASE).await.err(),
        desk.apply(first, 1, LEASE).await.err(),
        desk.settle(first, Duration::ZERO, 1, LEASE).await.err(),
        desk.pass_canary(first, LEASE).await.err(),
        desk.renew(first, LEASE).await.err(),
        desk.finish(first, BulkState::Done, "").await.err(),
    ];
    for error in lost {
        assert!(matches!(error, Some(DeskError::LeaseLost { .. })), "{error:?}");
    }
    assert_eq!(counts(desk, first.operation).await.sending, 2);
}

#[allow(missing_docs)]
pub async fn what_comes_back_waits_again(desk: &impl DeskStore) {
    let all = filled(desk, 2).await;
    let claim = begun(desk, retry()).await;
    let some = next(desk, claim, 10).await;
    record(desk, claim, &some).await;
    assert_eq!(state(desk, all[0]).await, DeskState::Sent);
    let again = dead_again(some[0].anew(&claim.operation), "no 0");
    assert_eq!(take(desk, std::slice::from_ref(&again)).await, [Taken::Again]);
    assert_eq!(take(desk, &[again]).await, [Taken::Known]);
    assert_eq!(state(desk, all[0]).await, DeskState::Waiting);
    let counts = counts(desk, claim.operation).await;
    assert_eq!((counts.sent, counts.came_back), (1, 1));
    assert_eq!(waiting(desk).await, 1);
}

#[allow(missing_docs)]
pub async fn what_dies_before_it_is_recorded_has_come_back(desk: &impl DeskStore) {
    let all = filled(desk, 1).await;
    let claim = begun(desk, retry()).await;
    let some = next(desk, claim, 10).await;
    let again = dead_again(some[0].anew(&claim.operation), "no again");
    assert_eq!(take(desk, &[again]).await, [Taken::Again]);
    record(desk, claim, &some).await;
    assert_eq!(state(desk, all[0]).await, DeskState::Waiting);
    assert_eq!(counts(desk, claim.operation).await.came_back, 1);
    assert!(next(desk, claim, 10).await.is_empty(), "it is not sent twice");
}

#[allow(missing_docs)]
pub async fn what_does_not_come_back_is_handled(desk: &impl DeskStore) {
    let all = filled(desk, 3).await;
    let claim = begun(desk, retry()).await;
    let some = next(desk, claim, 2).await;
    record(desk, claim, &some).await;
    assert_eq!(desk.settle(claim, LEASE, 10, LEASE).await.expect("settle"), 0);
    assert_eq!(
        desk.settle(claim, Duration::ZERO, 1, LEASE)
            .await
            .expect("settle"),
        1
    );
    assert_eq!(
        desk.settle(claim, Duration::ZERO, 9, LEASE)
            .await
            .expect("settle"),
        1
    );
    assert_eq!(state(desk, all[0]).await, DeskState::Handled);
    assert_eq!(state(desk, all[2]).await, DeskState::Waiting);
    let counts = counts(desk, claim.operation).await;
    assert_eq!((counts.done, counts.pending), (2, 1));
    // It dies later, although it was thought to be handled.
    let late = dead_again(some[1].anew(&claim.operation), "late");
    take(desk, &[late]).await;
    assert_eq!(state(desk, all[1]).await, DeskState::Waiting);
    assert_eq!(waiting(desk).await, 2);
}

#[allow(missing_docs)]
pub async fn what_cannot_be_sent_waits_again(desk: &impl DeskStore) {
    let all = filled(desk, 2).await;
    let claim = begun(desk, retry()).await;
    next(desk, claim, 10).await;
    assert_eq!(waiting(desk).await, 0);
    let failed = ItemResult {
        row: all[0],
        failure: Some("no such channel".into()),
    };
    desk.record(claim, &[failed], LEASE).await.expect("record");
    assert_eq!(state(desk, all[0]).await, DeskState::Waiting);
    assert_eq!(waiting(desk).await, 1);
    let items = desk.items(claim.operation, None, 1).await.expect("items");
    assert_eq!(
        (items[0].state, items[0].note.as_deref()),
        (ItemState::Failed, Some("no such channel"))
    );
}

#[allow(missing_docs)]
pub async fn what_is_redirected_is_archived_at_once(desk: &impl DeskStore) {
    let all = filled(desk, 1).await;
    let verb = BulkVerb::Redirect {
        to: "elsewhere".into(),
    };
    let claim = begun(desk, NewBulk::new(verb, DeskFilter::default(), "ann")).await;
    let some = next(desk, claim, 10).await;
    record(desk, claim, &some).await;
    let row = read(desk, all[0]).await.row;
    assert_eq!(row.state, DeskState::Archived);
    assert_eq!(row.comment.as_deref(), Some("redirected to elsewhere"));
    assert_eq!(row.operation, Some(claim.operation));
    assert_eq!(counts(desk, claim.operation).await.done, 1);
}

#[allow(missing_docs)]
pub async fn archiving_keeps_and_deleting_removes(desk: &impl DeskStore) {
    let all = filled(desk, 5).await;
    let archive = NewBulk::new(BulkVerb::Archive, DeskFilter::default(), "ann").limit(3);
    let claim = begun(desk, archive.comment("known bug")).await;
    assert_eq!(desk.apply(claim, 2, LEASE).await.expect("apply"), 2);
    assert_eq!(desk.apply(claim, 2, LEASE).await.expect("apply"), 1);
    assert_eq!(desk.apply(claim, 2, LEASE).await.expect("apply"), 0);
    let row = read(desk, all[0]).await.row;
    assert_eq!(
        (row.state, row.comment.as_deref()),
        (DeskState::Archived, Some("known bug"))
    );
    assert_eq!(waiting(desk).await, 2);

    let delete = NewBulk::new(BulkVerb::Delete, filter("state=archived"), "ann");
    let claim = begun(desk, delete).await;
    assert_eq!(desk.apply(claim, 10, LEASE).await.expect("apply"), 3);
    assert_eq!(desk.read(all[0]).await.expect("read"), None);
    assert_eq!(rows(desk, "").await.len(), 2);
    assert_eq!(waiting(desk).await, 2);
    assert_eq!(counts(desk, claim.operation).await.done, 3);
}

#[allow(missing_docs)]
pub async fn what_has_changed_since_the_selection_is_skipped(desk: &impl DeskStore) {
    let all = filled(desk, 3).await;
    let slow = begun(desk, retry()).await;
    let quick = begun(desk, retry().limit(1)).await;
    let some = next(desk, quick, 10).await;
    record(desk, quick, &some).await;
    let delete = NewBulk::new(BulkVerb::Delete, DeskFilter::of_row(all[1]), "ann");
    let delete = begun(desk, delete).await;
    assert_eq!(desk.apply(delete, 10, LEASE).await.expect("apply"), 1);
    let left = next(desk, slow, 10).await;
    assert_eq!(
        left.iter().map(|message| message.row.id).collect::<Vec<_>>(),
        all[2..]
    );
    let items = desk.items(slow.operation, None, 10).await.expect("items");
    assert_eq!(items[0].state, ItemState::Skipped);
    assert!(
        items[0]
            .note
            .as_deref()
            .is_some_and(|note| note.contains("was sent"))
    );
    assert!(
        items[1]
            .note
            .as_deref()
            .is_some_and(|note| note.contains("deleted"))
    );
}

#[allow(missing_docs)]
pub async fn what_is_stopped_leaves_the_rest_untouched(desk: &impl DeskStore) {
    let all = filled(desk, 4).await;
    let claim = begun(desk, retry().canary(1)).await;
    let id = claim.operation;
    let some = next(desk, claim, 1).await;
    assert!(desk.steer(id, Steering::Stop, "bob").await.expect("steer"));
    assert!(!desk.steer(id, Steering::Stop, "bob").await.expect("steer"));
    record(desk, claim, &some).await;
    assert!(next(desk, claim, 10).await.is_empty());
    assert_eq!(state(desk, all[1]).await, DeskState::Waiting);
    let stopped = desk.renew(claim, LEASE).await.expect("renew");
    assert_eq!(stopped.state, BulkState::Stopped);
    assert_eq!(stopped.outcome.as_deref(), Some("stopped by bob"));
    desk.release(claim).await.expect("release");
    assert_eq!(desk.claim(None, LEASE).await.expect("claim"), None);

    assert!(desk.steer(id, Steering::GoOn, "bob").await.expect("steer"));
    let claim = desk.claim(None, LEASE).await.expect("claim").expect("a claim");
    let operation = desk.renew(claim, LEASE).await.expect("renew");
    assert!(operation.canary_passed, "a person has decided instead");
    assert_eq!(next(desk, claim, 10).await.len(), 3);
    assert!(
        !desk
            .steer(OperationId::new(), Steering::Stop, "bob")
            .await
            .expect("steer")
    );
}

#[allow(missing_docs)]
pub async fn an_edited_message_that_dies_is_another_one(desk: &impl DeskStore) {
    let all = filled(desk, 1).await;
    let id = MessageId::new();
    let verb = BulkVerb::Edit {
        id: id.clone(),
        body: b"mended".to_vec(),
    };
    let claim = begun(
        desk,
        NewBulk::new(verb, DeskFilter::of_row(all[0]), "ann").limit(1),
    )
    .await;
    let some = next(desk, claim, 10).await;
    record(desk, claim, &some).await;
    let mut edited = some[0].anew(&claim.operation);
    edited.header.id = id.clone();
    edited.body = MessageBody::new("mended");
    assert_eq!(take(desk, &[dead_again(edited, "still no")]).await, [Taken::New]);
    let original = read(desk, all[0]).await;
    assert_eq!(original.row.state, DeskState::Archived);
    assert_eq!(original.message.body.as_bytes(), b"{}", "the original is kept");
    assert_eq!(rows(desk, &format!("id={id}")).await.len(), 1);
    assert_eq!(counts(desk, claim.operation).await.came_back, 1);
}

#[allow(missing_docs)]
pub async fn a_forged_mark_changes_no_operation(desk: &impl DeskStore) {
    filled(desk, 1).await;
    let claim = begun(desk, retry()).await;
    let some = next(desk, claim, 10).await;
    record(desk, claim, &some).await;
    let mut forged = some[0].anew(&claim.operation);
    forged.header.id = MessageId::new();
    assert_eq!(take(desk, &[dead_again(forged, "forged")]).await, [Taken::New]);
    let counts = counts(desk, claim.operation).await;
    assert_eq!((counts.sent, counts.came_back), (1, 0));
}

#[allow(missing_docs)]
pub async fn an_audit_tells_who_did_what(desk: &impl DeskStore) {
    filled(desk, 2).await;
    let claim = begun(desk, retry().comment("bug 7 is mended")).await;
    desk.steer(claim.operation, Steering::Stop, "bob")
        .await
        .expect("steer");
    desk.steer(claim.operation, Steering::GoOn, "eve")
        .await
        .expect("steer");
    desk.finish(claim, BulkState::Done, "2 messages done")
        .await
        .expect("finish");
    let audit = desk.audit(claim.operation).await.expect("audit");
    let audit: Vec<_> = audit.iter().map(|event| (&*event.who, &*event.what)).collect();
    let expected = [
        ("ann", "retry of 2 messages begun"),
        ("bob", "stopped"),
        ("eve", "continued"),
        ("", "done: 2 messages done"),
    ];
    assert_eq!(audit, expected);
    let all = desk.operations(10).await.expect("operations");
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].plan.comment.as_deref(), Some("bug 7 is mended"));
    assert_eq!(all[0].outcome.as_deref(), Some("2 messages done"));
    assert!(all[0].ended_at.is_some());
}

#[allow(missing_docs)]
pub async fn two_processes_that_take_the_same_keep_it_once(desk: &impl DeskStore) {
    let some: Vec<_> = (0..30).map(|n| dead(["a 1", "b 1", "c 1"][n % 3])).collect();
    let backwards: Vec<_> = some.iter().rev().cloned().collect();
    let (one, other) = futures_util::future::join(desk.take(&some), desk.take(&backwards)).await;
    let new = |taken: &[Taken]| taken.iter().filter(|taken| **taken == Taken::New).count();
    assert_eq!(new(&one.expect("take")) + new(&other.expect("take")), 30);
    assert_eq!(waiting(desk).await, 30);
}
