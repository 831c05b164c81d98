//! Checks the optional capabilities of an outbox, if it has them.

use std::time::Duration;

use brighter_core::id::MessageId;
use brighter_core::message::Message;
use brighter_core::outbox::{MessageState, Outbox};

/// Returns a capability of an outbox. Without it, prints that the behaviour is not applicable, and returns from the
/// function.
macro_rules! capability {
    ($outbox:expr, $capability:ident) => {
        match $outbox.$capability() {
            Some(capability) => capability,
            None => return $crate::outbox::capability::not_applicable(stringify!($capability)),
        }
    };
}
pub(super) use capability;

pub(crate) fn not_applicable(capability: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default();
    println!("`{test}` is not applicable: the outbox has no `{capability}`");
}

/// Fails if the outbox can read messages and returns others than these.
pub(crate) async fn assert_read(outbox: &impl Outbox, ids: &[MessageId], expected: &[Message]) {
    if let Some(inspection) = outbox.inspection() {
        assert_eq!(inspection.get(ids).await.expect("get"), expected);
    }
}

/// Fails if the outbox can report the state of a message and reports another.
pub(crate) async fn assert_state(outbox: &impl Outbox, id: &MessageId, expected: Option<MessageState>) {
    if let Some(inspection) = outbox.inspection() {
        assert_eq!(inspection.state(id).await.expect("state"), expected);
    }
}

/// Fails if the outbox can report the state of a message, and the message is not scheduled or has another due time.
pub(crate) async fn assert_due_in(outbox: &impl Outbox, id: &MessageId, is_right: impl Fn(Duration) -> bool) {
    let Some(inspection) = outbox.inspection() else {
        return;
    };
    match inspection.state(id).await.expect("state") {
        Some(MessageState::Scheduled { due_in, .. }) => assert!(is_right(due_in), "{due_in:?}"),
        other => panic!("{other:?}"),
    }
}

/// Fails if the outbox can list its dead messages and lists others than these.
pub(super) async fn assert_dead(outbox: &impl Outbox, expected: &[MessageId]) {
    if let Some(dead_messages) = outbox.dead_messages() {
        let dead = dead_messages.dead(10).await.expect("dead");
        let dead: Vec<_> = dead.into_iter().map(|dead| dead.id).collect();
        assert_eq!(dead, expected);
    }
}
