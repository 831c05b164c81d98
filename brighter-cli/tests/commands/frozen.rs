//! Verbs that send, over a broker in a file.

use std::collections::BTreeSet;
use std::sync::Arc;

use brighter::channel::{Broker, Channel, Rejection, RejectionKind};
use brighter::message::{MessageBody, MessageHeader, MessageType};
use brighter::{Message, SqliteBroker};
use serde_json::json;

use super::{Place, line, until, with_body};

async fn broker(place: &Place) -> Arc<SqliteBroker> {
    let broker = SqliteBroker::open(place.path("broker.db")).await.unwrap();
    for name in ["orders", "other"] {
        broker.declare(&Channel::new(name, "Order.Placed")).await.unwrap();
    }
    Arc::new(broker)
}

/// Acknowledges each message of a channel for as long as it is not dropped, and keeps its id.
fn handle(
    broker: &Arc<SqliteBroker>,
    channel: &str,
    is_bad: fn(&str) -> bool,
) -> (tokio::task::JoinHandle<()>, Arc<std::sync::Mutex<Vec<String>>>) {
    let (broker, channel) = (Arc::clone(broker), Channel::new(channel, "Order.Placed"));
    let ids = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&ids);
    let task = tokio::spawn(async move {
        let mut consumer = broker.consume(&channel).await.unwrap();
        while let Some(delivery) = consumer.receive().await {
            let delivery = delivery.unwrap();
            let message = delivery.message().unwrap();
            let (id, body) = (message.header.id.to_string(), message.body.as_bytes().to_vec());
            seen.lock()
                .unwrap()
                .push(format!("{id} {}", String::from_utf8(body).unwrap()));
            match is_bad(&id) {
                true => {
                    let rejection = Rejection::new(RejectionKind::DeadLetter, "no again");
                    delivery.reject(rejection).await.unwrap();
                }
                false => delivery.ack().await.unwrap(),
            }
        }
    });
    (task, ids)
}

/// Runs the command beside the handlers of this test.
async fn run(place: &Arc<Place>, args: &[&str]) -> super::Ran {
    let (place, args) = (
        Arc::clone(place),
        args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>(),
    );
    let running =
        tokio::task::spawn_blocking(move || place.run(&args.iter().map(String::as_str).collect::<Vec<_>>()));
    running.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_sends_exactly_the_messages_that_were_chosen() {
    let place = Arc::new(Place::new().await);
    let broker = broker(&place).await;
    place.import((0..100).map(|number| line(number, "no"))).expect(0);
    let args = [
        "--json",
        "dead",
        "retry",
        "--all",
        "--wait",
        "0",
        "--evidence",
        "0",
    ];
    let begun = run(&place, &args).await.expect(0).json();
    assert_eq!(
        (&begun["operation"]["chosen"], &begun["operation"]["state"]),
        (&json!(100), &json!("running"))
    );
    place
        .import((100..150).map(|number| line(number, "no")))
        .expect(0);
    let (task, ids) = handle(&broker, "orders", |_| false);
    let id = begun["operation"]["id"].as_str().unwrap();
    let ended = run(&place, &["--json", "dead", "continue", id])
        .await
        .expect(0)
        .json();
    assert_eq!(ended["operation"]["counts"]["done"], 100, "{ended}");
    task.abort();
    let ids = std::mem::take(&mut *ids.lock().unwrap());
    let sent: BTreeSet<_> = ids
        .iter()
        .map(|text| text.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(sent, (0..100).map(|number| format!("m-{number}")).collect());
    assert_eq!(ids.len(), 100, "each once");
    let states = place.states().await;
    assert_eq!(states[..50], ["waiting"; 50]);
    assert_eq!(states[50..], ["handled"; 100]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_fails_leaves_the_rest_untouched() {
    let place = Arc::new(Place::new().await);
    let broker = broker(&place).await;
    place.import((0..10).map(|number| line(number, "no"))).expect(0);
    let (task, ids) = handle(&broker, "orders", |_| true);
    let args = [
        "--json", "dead", "retry", "--all", "--canary", "3", "--rate", "50/s",
    ];
    let stopped = run(&place, &args).await.expect(3).json();
    task.abort();
    let operation = &stopped["operation"];
    assert_eq!(
        (&operation["state"], &operation["counts"]["pending"]),
        (&json!("stopped"), &json!(7)),
        "{stopped}"
    );
    assert_eq!(ids.lock().unwrap().len(), 3);
    // Those that came back were taken to the desk, though no process runs one.
    assert_eq!(operation["counts"]["came_back"], 3, "{stopped}");
    assert_eq!(place.states().await, ["waiting"; 10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_redirected_and_edited() {
    let place = Arc::new(Place::new().await);
    let broker = broker(&place).await;
    place
        .import([with_body(1, "no", "{\"order\": 1}"), line(2, "no")])
        .expect(0);
    let redirected = run(&place, &["dead", "redirect", "--row", "2", "--to", "other"])
        .await
        .expect(0);
    assert!(redirected.out.contains("redirect to other"), "{redirected:?}");
    let (other, redirected) = handle(&broker, "other", |_| false);
    let (task, edited) = handle(&broker, "orders", |_| false);
    std::fs::write(place.path("body"), "{\"order\": 7}").unwrap();
    let args = [
        "dead",
        "edit",
        "1",
        "--body",
        "body",
        "--allow-edits",
        "--evidence",
        "0",
    ];
    let shown = run(&place, &args).await.expect(0);
    assert!(
        shown.out.contains("-   \"order\": 1\n+   \"order\": 7\n"),
        "{shown:?}"
    );
    until(|| redirected.lock().unwrap().len() == 1).await;
    assert_eq!(*redirected.lock().unwrap(), ["m-2 {\"order\":2}"]);
    let edited = edited.lock().unwrap().clone();
    assert!(
        edited.len() == 1 && edited[0].ends_with("{\"order\": 7}"),
        "{edited:?}"
    );
    assert!(!edited[0].starts_with("m-1"), "another id: {edited:?}");
    task.abort();
    other.abort();
    assert_eq!(place.states().await, ["archived", "handled"]);
    let all_failed = run(
        &place,
        &["dead", "retry", "--row", "1", "--where", "state=handled"],
    )
    .await;
    all_failed.expect(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_sent_says_why() {
    let place = Arc::new(Place::new().await);
    let _broker = broker(&place).await;
    place.import([line(1, "no")]).expect(0);
    let failed = run(
        &place,
        &["--json", "dead", "redirect", "--all", "--to", "nowhere"],
    )
    .await
    .expect(1)
    .json();
    let id = failed["operation"]["id"].as_str().unwrap();
    let shown = run(&place, &["--json", "dead", "operations", id])
        .await
        .expect(0)
        .json();
    let problem = &shown["problems"][0];
    assert_eq!(
        (&problem["row"], &problem["state"]),
        (&json!(1), &json!("failed")),
        "{shown}"
    );
    assert!(problem["note"].as_str().unwrap().contains("nowhere"), "{shown}");
    let text = run(&place, &["dead", "operations", id]).await.expect(0).out;
    assert!(text.contains("row 1 failed: to `nowhere`"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_dead_letters_are_taken() {
    let place = Arc::new(Place::new().await);
    let broker = broker(&place).await;
    let (task, ids) = handle(&broker, "orders", |_| true);
    let header = MessageHeader::new("m-1".into(), "Order.Placed", MessageType::Event);
    let message = Message::new(header, MessageBody::new("{}"));
    broker.send_to(&"orders".into(), &message).await.unwrap();
    until(|| ids.lock().unwrap().len() == 1).await;
    let dead = Channel::existing("orders.dlq");
    while broker.depth(&dead).await.unwrap() != Some(1) {
        tokio::task::yield_now().await;
    }
    let status = run(&place, &["--json", "status", "--channel", "orders"])
        .await
        .expect(0)
        .json();
    let one = json!({"channel": "orders.dlq", "waiting": 1, "error": null});
    assert_eq!(status["broker"]["channels"][1], one, "{status}");
    let taken = run(&place, &["--json", "dead", "take", "--channel", "orders"])
        .await
        .expect(0)
        .json();
    assert_eq!(
        taken,
        json!({"taken": {"new": 1, "again": 0, "known": 0, "left": 0}})
    );
    assert_eq!(place.states().await, ["waiting"]);
    assert_eq!(broker.depth(&dead).await.unwrap(), Some(0));
    let status = run(&place, &["--json", "status", "--channel", "orders"])
        .await
        .expect(0)
        .json();
    assert_eq!(status["desk"]["messages"]["waiting"], 1, "{status}");
    task.abort();
}
