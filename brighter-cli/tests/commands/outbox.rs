//! `brighter outbox` against an outbox in a file.

use std::time::Duration;

use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::outbox::{Claim, Failure, Outbox};
use brighter::{Message, MessageId, SqliteOutbox};
use serde_json::json;

use super::Place;
use super::snapshot::same;

fn message(id: &str) -> Message {
    let header = MessageHeader::new(MessageId::from(id), "Order.Placed", MessageType::Event);
    Message::new(header, MessageBody::new("{}"))
}

/// Returns a place whose outbox has a message of each state.
async fn one_of_each() -> Place {
    let place = Place::new().await;
    let outbox = SqliteOutbox::open(place.path("desk.db")).await.unwrap();
    for id in ["dead", "sent", "waiting"] {
        outbox.deposit(&[message(id)], None).await.unwrap();
    }
    let scheduling = outbox.scheduling().unwrap();
    scheduling
        .schedule(&message("later"), Duration::from_secs(7_200))
        .await
        .unwrap();
    let ids = ["dead".into(), "sent".into()];
    outbox
        .claim(Claim::ids(&ids), Duration::from_secs(60))
        .await
        .unwrap();
    let failure = Failure::new("dead".into(), "no \u{1b}[31mexchange", Duration::ZERO).last();
    outbox.mark_failed(&[failure]).await.unwrap();
    outbox.mark_dispatched(&["sent".into()]).await.unwrap();
    place
}

#[tokio::test]
async fn the_outbox_is_shown() {
    let place = one_of_each().await;
    let mut text = String::new();
    for args in [
        &["outbox", "status"][..],
        &["outbox", "dead"],
        &["outbox", "scheduled"],
    ] {
        let shown = place.run(args).expect(0).out;
        text.push_str(&format!(
            "$ brighter {}\n{}",
            args.join(" "),
            shown.replace("119m", "2h")
        ));
    }
    same("outbox.txt", &text);
    let dead = place.run(&["--json", "outbox", "dead"]).expect(0).json();
    let error = "no \u{1b}[31mexchange";
    let expected = json!({"id": "dead", "topic": "Order.Placed", "attempts": 1, "error": error});
    assert_eq!(dead, json!({ "dead": [expected] }));
    let mut scheduled = place.run(&["--json", "outbox", "scheduled"]).expect(0).json();
    let due = scheduled["scheduled"][0]["due_in_seconds"]
        .take()
        .as_u64()
        .unwrap();
    assert!((7_000..=7_200).contains(&due), "{due}");
    let expected = json!({"id": "later", "topic": "Order.Placed", "due_in_seconds": null});
    assert_eq!(scheduled, json!({ "scheduled": [expected] }));
    let status = place.run(&["--json", "outbox", "status"]).expect(0).json();
    for (name, count) in [("outstanding", 1), ("dead", 1), ("scheduled", 1)] {
        assert_eq!(status["outbox"][name], count, "{status}");
    }
}

#[tokio::test]
async fn dead_messages_are_revived() {
    let place = one_of_each().await;
    let trial = place
        .run(&["--json", "outbox", "revive", "--all", "--dry-run"])
        .expect(0)
        .json();
    assert_eq!(
        trial["revived"],
        json!({"dry_run": true, "asked": 1, "dead": 1, "messages": 0})
    );
    let partly = place.run(&["outbox", "revive", "dead", "unknown"]).expect(3);
    assert_eq!(partly.out, "1 of 2 revived.\n");
    place.run(&["outbox", "revive", "dead"]).expect(1);
    let status = place.run(&["--json", "outbox", "status"]).json();
    assert_eq!(
        (&status["outbox"]["dead"], &status["outbox"]["outstanding"]),
        (&json!(0), &json!(2))
    );
}

#[tokio::test]
async fn sent_messages_are_sent_again_only_with_yes() {
    let place = one_of_each().await;
    let args = ["--json", "outbox", "resend", "--topic", "Order.Placed"];
    place.run(&args).expect(2);
    let resent = place.run(&[&args[..], &["--yes"]].concat()).expect(0).json();
    assert_eq!(resent, json!({"resent": {"messages": 1, "limit": 1000}}));
    let none = place
        .run(&["--json", "outbox", "resend", "--before", "2h", "--yes"])
        .expect(0)
        .json();
    assert_eq!(none["resent"]["messages"], 0);
}

#[tokio::test]
async fn a_scheduled_message_is_removed_only_with_yes() {
    let place = one_of_each().await;
    place.run(&["outbox", "cancel", "later"]).expect(2);
    let removed = place
        .run(&["--json", "outbox", "cancel", "later", "--yes"])
        .expect(0)
        .json();
    assert_eq!(removed, json!({"cancelled": {"id": "later"}}));
    place.run(&["outbox", "cancel", "later", "--yes"]).expect(1);
}
