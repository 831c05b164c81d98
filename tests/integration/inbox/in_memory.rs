//! What is special to the inbox in memory.

use brighter::inbox::{Begun, InboxError};

use super::*;

brighter::inbox_contract!(contract, async || (InMemoryInbox::new(), ()));

fn key(number: u32) -> InboxKey {
    InboxKey::new(number.to_string().into(), "tests")
}

async fn begin(inbox: &InMemoryInbox, number: u32) -> Begun {
    inbox.begin(&key(number), None, MINUTE).await.unwrap()
}

#[tokio::test]
async fn it_remembers_as_many_as_it_is_told() {
    let inbox = InMemoryInbox::new().limit(3);
    for number in 0..5 {
        assert!(matches!(begin(&inbox, number).await, Begun::First(_)));
        inbox.complete(&key(number)).await.unwrap();
    }
    for number in 2..5 {
        assert_eq!(begin(&inbox.clone(), number).await, Begun::Done);
    }
    assert!(matches!(begin(&inbox, 0).await, Begun::First(_)));
}

#[tokio::test(start_paused = true)]
async fn it_forgets_when_it_is_told() {
    let inbox = InMemoryInbox::new().retention(MINUTE);
    inbox.complete(&key(0)).await.unwrap();
    tokio::time::advance(MINUTE - SECOND).await;
    inbox.complete(&key(0)).await.unwrap();
    inbox.complete(&key(1)).await.unwrap();
    assert_eq!(begin(&inbox, 0).await, Begun::Done);
    tokio::time::advance(SECOND).await;
    assert!(matches!(begin(&inbox, 0).await, Begun::First(_)));
    assert_eq!(begin(&inbox, 1).await, Begun::Done);
}

#[test]
fn it_remembers_for_seven_days_unless_it_is_told() {
    let day = Duration::from_hours(24);
    assert_eq!(Inbox::retention(&InMemoryInbox::new()), Some(7 * day));
    assert_eq!(Inbox::retention(&InMemoryInbox::new().retention(day)), Some(day));
}

#[tokio::test(start_paused = true)]
async fn a_full_inbox_is_a_typed_error() {
    let inbox = InMemoryInbox::new().limit(2);
    for number in 0..2 {
        begin(&inbox, number).await;
    }
    let full = inbox.begin(&key(2), None, MINUTE).await;
    assert!(matches!(full, Err(InboxError::Full(_))), "{full:?}");
    assert!(matches!(begin(&inbox, 1).await, Begun::Running { .. }));

    // What is done makes room, and so does a claim that has ended.
    inbox.complete(&key(0)).await.unwrap();
    begin(&inbox, 2).await;
    tokio::time::advance(MINUTE).await;
    for number in 3..5 {
        assert!(matches!(begin(&inbox, number).await, Begun::First(_)));
    }
    assert_eq!(begin(&inbox, 0).await, Begun::Done);
}
