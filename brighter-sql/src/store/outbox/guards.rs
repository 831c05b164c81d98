//! Tests which rows each statement leaves unchanged, for any ids: other processes may have changed rows after they were
//! read.

use std::slice::from_ref;
use std::time::Duration;

use super::{OutboxOptions, SqlOutbox};
use crate::database::sqlite::Database;
use crate::database::statement::Statement;
use crate::database::value::Value;
use crate::store::row;
use brighter_core::id::MessageId;
use brighter_core::message::{Message, MessageBody, MessageHeader, MessageType};
use brighter_core::outbox::{Failure, MessageState};
use sqlx::Sqlite;

const HOUR: Duration = Duration::from_secs(3600);

/// Returns an outbox with one message of each state, in this order: outstanding, dispatched, dead, scheduled.
async fn filled() -> (SqlOutbox<Database>, [MessageId; 4], tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("outbox.db")).await.unwrap();
    let outbox = SqlOutbox::open(database, &OutboxOptions::default())
        .await
        .unwrap();
    let messages: [Message; 4] = std::array::from_fn(|_| {
        let header = MessageHeader::new(MessageId::new(), "Order.Placed", MessageType::Event);
        Message::new(header, MessageBody::new("{}"))
    });
    let ids = messages.each_ref().map(|message| message.header.id.clone());
    outbox.deposit(&messages[..3], None).await.unwrap();
    outbox.schedule(&messages[3], HOUR).await.unwrap();
    outbox.mark_dispatched(from_ref(&ids[1])).await.unwrap();
    let dead = Failure::new(ids[2].clone(), "no", HOUR).last();
    outbox.mark_failed(&[dead]).await.unwrap();
    (outbox, ids, folder)
}

/// Executes a statement with all four ids, and returns the new state of each.
async fn states_after(statement: fn(&SqlOutbox<Database>) -> &Statement) -> [&'static str; 4] {
    let (outbox, ids, _folder) = filled().await;
    let wanted = row::list::<Sqlite>(&ids).unwrap();
    outbox
        .execute(statement(&outbox), &[Value::Text(&wanted)])
        .await
        .unwrap();
    let mut states = [""; 4];
    for (id, state) in ids.iter().zip(&mut states) {
        *state = match outbox.state(id).await.unwrap() {
            Some(MessageState::Outstanding { .. }) => "outstanding",
            Some(MessageState::Dispatched) => "dispatched",
            Some(MessageState::Dead { .. }) => "dead",
            Some(MessageState::Scheduled { .. }) => "scheduled",
            None => "gone",
            Some(_) => "another",
        };
    }
    states
}

#[tokio::test]
async fn only_what_is_outstanding_becomes_dispatched() {
    let states = states_after(|outbox| &outbox.statements.dispatched).await;
    assert_eq!(states, ["dispatched", "dispatched", "dead", "scheduled"]);
}

#[tokio::test]
async fn only_what_has_reached_its_time_becomes_due() {
    let states = states_after(|outbox| &outbox.statements.make_due).await;
    assert_eq!(states, ["outstanding", "dispatched", "dead", "scheduled"]);

    let (outbox, ids, _folder) = filled().await;
    outbox.reschedule(&ids[3], Duration::ZERO).await.unwrap();
    assert_eq!(outbox.make_due(10).await.unwrap(), 1);
}

#[tokio::test]
async fn outstanding_messages_are_never_forgotten() {
    let states = states_after(|outbox| &outbox.statements.forget).await;
    assert_eq!(states[0], "outstanding");
    assert_eq!(states[1..3], ["gone"; 2]);
}

#[tokio::test]
async fn only_dead_messages_revive_and_only_outstanding_ones_release() {
    let states = states_after(|outbox| &outbox.statements.revive).await;
    assert_eq!(states, ["outstanding", "dispatched", "outstanding", "scheduled"]);
    let states = states_after(|outbox| &outbox.statements.release).await;
    assert_eq!(states, ["outstanding", "dispatched", "dead", "scheduled"]);
}
