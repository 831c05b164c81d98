//! Behaviours of an outbox that keeps schedules of recurring work.

use std::slice::from_ref;
use std::time::{Duration, SystemTime};

use super::super::eventually;
use super::{LONG, capability, claim_oldest, claimed_ids, some_message};
use brighter_core::message::{BagValue, MessageBody};
use brighter_core::outbox::{Outbox, ScheduleChange, ScheduleOrigin, ScheduleRow, ScheduleState, Schedules};

/// The program whose schedules these are.
const PROGRAM: &str = "tests";

fn row(name: &str) -> ScheduleRow {
    let mut row = ScheduleRow::new(name, ScheduleOrigin::code(PROGRAM), "30 2 * * *");
    row.zone = "Europe/Berlin".into();
    row.settings = r#"{"some":"settings"}"#.into();
    row
}

async fn apply(schedules: &dyn Schedules, changes: &[ScheduleChange]) -> Vec<bool> {
    schedules.apply_schedules(changes).await.expect("apply")
}

async fn now(schedules: &dyn Schedules) -> SystemTime {
    schedules.find_schedules(&[]).await.expect("find").now
}

async fn get(schedules: &dyn Schedules, name: &str) -> Option<ScheduleRow> {
    let found = schedules.find_schedules(&[name.to_owned()]).await.expect("find");
    assert!(found.rows.len() <= 1, "{found:?}");
    found.rows.into_iter().next()
}

async fn due(schedules: &dyn Schedules, program: &str, limit: usize) -> Vec<String> {
    let due = schedules.due_schedules(program, limit).await.expect("due");
    due.rows.into_iter().map(|row| row.name).collect()
}

/// Returns the time with the precision of a store.
fn in_millis(time: SystemTime) -> SystemTime {
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    SystemTime::UNIX_EPOCH + Duration::from_millis(since_1970.as_millis() as u64)
}

/// Checks that a schedule comes back with all its columns, whether they are empty or not.
pub async fn a_schedule_comes_back_as_it_was(outbox: &impl Outbox) {
    let schedules = capability!(outbox, schedules);
    let time = in_millis(now(schedules).await);
    let mut full = row("a full one: ünï \"quoted\" 'name'");
    let mut template = some_message();
    template.header.bag.insert("number", 1.5);
    template.body = MessageBody::new(vec![0, 159, 146, 150]);
    full.origin = ScheduleOrigin::Runtime;
    full.template = Some(template);
    full.state = ScheduleState::Paused;
    full.next_at = Some(time + LONG);
    full.run_at = Some(time + 2 * LONG);
    full.due_at = Some(time + 3 * LONG);
    full.last_at = Some(time - LONG);
    full.last_id = Some("order-17".into());
    let empty = row("an empty one");
    assert_eq!(
        apply(
            schedules,
            &[
                ScheduleChange::add(full.clone()),
                ScheduleChange::add(empty.clone())
            ]
        )
        .await,
        [true, true]
    );
    for mut expected in [full, empty] {
        expected.version = 1;
        assert_eq!(get(schedules, &expected.name).await, Some(expected));
    }
    assert_eq!(get(schedules, "another").await, None);
}

/// Checks that schedules are listed by name, page by page.
pub async fn schedules_are_listed_by_name(outbox: &impl Outbox) {
    let schedules = capability!(outbox, schedules);
    let adds: Vec<_> = ["c", "a", "b"].map(|name| ScheduleChange::add(row(name))).into();
    apply(schedules, &adds).await;
    let list = async |after| {
        let found = schedules.list_schedules(after, 2).await.expect("list");
        found.rows.into_iter().map(|row| row.name).collect::<Vec<_>>()
    };
    assert_eq!(list(None).await, ["a", "b"]);
    assert_eq!(list(Some("b")).await, ["c"]);
    assert!(list(Some("c")).await.is_empty());
}

/// Checks that only due schedules of the program and of run time are returned, the first first, and no more than asked.
pub async fn due_schedules_come_by_their_time(outbox: &impl Outbox) {
    let schedules = capability!(outbox, schedules);
    let nothing = schedules.due_schedules(PROGRAM, 10).await.expect("due");
    assert!(nothing.rows.is_empty() && nothing.next.is_none());
    let time = in_millis(now(schedules).await);
    let with = |name, change: &dyn Fn(&mut ScheduleRow)| {
        let mut row = row(name);
        change(&mut row);
        ScheduleChange::add(row)
    };
    let changes = [
        with("second", &|row| row.due_at = Some(time - LONG)),
        with("first", &|row| {
            row.due_at = Some(time - 2 * LONG);
            row.origin = ScheduleOrigin::Runtime;
        }),
        with("later", &|row| row.due_at = Some(time + LONG)),
        with("never", &|_| {}),
        with("of another", &|row| {
            row.due_at = Some(time - 3 * LONG);
            row.origin = ScheduleOrigin::code("another");
        }),
    ];
    apply(schedules, &changes).await;
    assert_eq!(due(schedules, PROGRAM, 10).await, ["first", "second"]);
    assert_eq!(due(schedules, PROGRAM, 1).await, ["first"]);
    assert_eq!(due(schedules, "another", 10).await, ["of another", "first"]);
    let mut settled = Vec::new();
    for name in ["first", "second"] {
        let mut row = get(schedules, name).await.expect("a schedule");
        row.due_at = None;
        settled.push(ScheduleChange::advance(row, Vec::new()));
    }
    assert_eq!(apply(schedules, &settled).await, [true, true]);
    let waiting = schedules.due_schedules(PROGRAM, 10).await.expect("due");
    assert!(waiting.rows.is_empty());
    assert_eq!(waiting.next, Some(time + LONG));
}

/// Checks that a schedule becomes due by the clock of the outbox.
pub async fn a_schedule_becomes_due_at_its_time(outbox: &impl Outbox) {
    let schedules = capability!(outbox, schedules);
    let mut soon = row("soon");
    soon.due_at = Some(now(schedules).await + Duration::from_millis(50));
    apply(schedules, &[ScheduleChange::add(soon)]).await;
    eventually("its time", async || {
        (due(schedules, PROGRAM, 10).await == ["soon"]).then_some(())
    })
    .await;
}

/// Checks that an advance writes the times and deposits the messages, and nothing else of the row.
pub async fn an_advance_deposits_its_messages(outbox: &impl Outbox) {
    let schedules = capability!(outbox, schedules);
    apply(schedules, &[ScheduleChange::add(row("nightly"))]).await;
    let time = in_millis(now(schedules).await);
    let (message, other) = (some_message(), some_message());
    let mut fired = row("nightly");
    fired.version = 1;
    fired.next_at = Some(time + LONG);
    fired.due_at = Some(time + LONG);
    fired.last_at = Some(time);
    fired.last_id = Some(message.header.id.clone());
    let mut expected = fired.clone();
    expected.version = 2;
    fired.expression = "@daily".into();
    fired.settings = "others".into();
    let change = ScheduleChange::advance(fired, vec![message.clone(), other.clone()]);
    assert_eq!(apply(schedules, &[change]).await, [true]);
    assert_eq!(get(schedules, "nightly").await, Some(expected));
    let claimed = claim_oldest(outbox, 10, LONG).await;
    assert_eq!(claimed_ids(&claimed), [message.header.id, other.header.id]);
}

/// Checks that a change of another version changes nothing and deposits nothing, and holds up no other change.
pub async fn a_change_of_another_version_is_not_made(outbox: &impl Outbox) {
    let schedules = capability!(outbox, schedules);
    apply(
        schedules,
        &[ScheduleChange::add(row("a")), ScheduleChange::add(row("b"))],
    )
    .await;
    let at = |name, version| {
        let mut row = row(name);
        row.version = version;
        row
    };
    let message = some_message();
    let changes = [
        ScheduleChange::advance(at("a", 2), vec![some_message()]),
        ScheduleChange::advance(at("b", 1), vec![message.clone()]),
        ScheduleChange::advance(at("c", 1), vec![some_message()]),
    ];
    assert_eq!(apply(schedules, &changes).await, [false, true, false]);
    assert_eq!(
        claimed_ids(&claim_oldest(outbox, 10, LONG).await),
        [message.header.id]
    );
    // The same change once more, as by another process that read the same row.
    assert_eq!(apply(schedules, from_ref(&changes[1])).await, [false]);
    assert_eq!(
        apply(schedules, &[ScheduleChange::replace(at("b", 1))]).await,
        [false]
    );
    assert_eq!(
        apply(schedules, &[ScheduleChange::remove(at("b", 1))]).await,
        [false]
    );
    assert_eq!(apply(schedules, &[ScheduleChange::add(row("b"))]).await, [false]);
    assert_eq!(get(schedules, "b").await.expect("a schedule").version, 2);
}

/// Checks that everything but the name is replaced, and that a removed schedule is gone.
pub async fn a_schedule_is_replaced_and_removed(outbox: &impl Outbox) {
    let schedules = capability!(outbox, schedules);
    apply(schedules, &[ScheduleChange::add(row("a"))]).await;
    let mut other = ScheduleRow::new("a", ScheduleOrigin::Runtime, "@hourly");
    other.settings = "{}".into();
    other.state = ScheduleState::Gone;
    other.version = 1;
    assert_eq!(
        apply(schedules, &[ScheduleChange::replace(other.clone())]).await,
        [true]
    );
    other.version = 2;
    assert_eq!(get(schedules, "a").await, Some(other.clone()));
    assert_eq!(apply(schedules, &[ScheduleChange::remove(other)]).await, [true]);
    assert_eq!(get(schedules, "a").await, None);
    assert_eq!(apply(schedules, &[ScheduleChange::add(row("a"))]).await, [true]);
}

/// Checks that a message whose id exists is left out, whatever its content, and the rest is stored.
pub async fn an_occurrence_that_exists_is_left_out(outbox: &impl Outbox) {
    let schedules = capability!(outbox, schedules);
    apply(schedules, &[ScheduleChange::add(row("a"))]).await;
    let known = some_message();
    outbox.deposit(from_ref(&known), None).await.expect("deposit");
    let mut same_id = known.clone();
    same_id.body = MessageBody::new("another");
    same_id.header.bag.insert("more", BagValue::Int(1));
    let new = some_message();
    let mut fired = row("a");
    fired.version = 1;
    let change = ScheduleChange::advance(fired, vec![same_id, new.clone()]);
    assert_eq!(apply(schedules, &[change]).await, [true]);
    let claimed = claim_oldest(outbox, 10, LONG).await;
    assert_eq!(claimed.len(), 2);
    assert_eq!(claimed[0].message, known);
    assert_eq!(claimed[1].message, new);
}

/// Checks that of several who fire the same schedule one succeeds each time.
pub async fn one_of_several_fires_a_schedule(outbox: &impl Outbox) {
    let schedules = capability!(outbox, schedules);
    apply(schedules, &[ScheduleChange::add(row("a"))]).await;
    let fire = async || {
        let mut made = 0;
        for _ in 0..10 {
            let Some(row) = get(schedules, "a").await else {
                break;
            };
            let change = ScheduleChange::advance(row, vec![some_message()]);
            made += apply(schedules, &[change])
                .await
                .iter()
                .filter(|made| **made)
                .count();
        }
        made
    };
    let (a, b, c) = futures_util::future::join3(fire(), fire(), fire()).await;
    let made = a + b + c;
    assert!(made >= 1, "{a} {b} {c}");
    assert_eq!(claim_oldest(outbox, 100, LONG).await.len(), made);
    assert_eq!(
        get(schedules, "a").await.expect("a schedule").version,
        1 + made as u64
    );
}

/// Checks that many schedules are fired in one call.
pub async fn many_schedules_are_fired_at_once(outbox: &impl Outbox) {
    const MANY: usize = 300;
    let schedules = capability!(outbox, schedules);
    let names: Vec<_> = (0..MANY).map(|number| format!("schedule {number}")).collect();
    let adds: Vec<_> = names.iter().map(|name| ScheduleChange::add(row(name))).collect();
    assert_eq!(apply(schedules, &adds).await, vec![true; MANY]);
    let fired: Vec<_> = names
        .iter()
        .map(|name| {
            let mut row = row(name);
            row.version = 1;
            ScheduleChange::advance(row, vec![some_message()])
        })
        .collect();
    assert_eq!(apply(schedules, &fired).await, vec![true; MANY]);
    assert_eq!(claim_oldest(outbox, 2 * MANY, LONG).await.len(), MANY);
    assert!(apply(schedules, &[]).await.is_empty());
}
