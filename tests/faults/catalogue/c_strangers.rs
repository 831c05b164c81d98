//! What a stranger writes into the headers of a message: C12.

use std::time::Duration;

use brighter::channel::QueueType;
use brighter::prelude::*;
use brighter_faults::app::{App, Deed, What};
use brighter_faults::ledger::{Entry, Ledger};
use brighter_faults::place::Place;
use brighter_faults::wait::until_answer;
use brighter_faults::{capture, node};
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldArray, FieldTable, ShortString};
use lapin::{BasicProperties, Connection, ConnectionProperties};

use super::c_handling::set_aside;

const ATTEMPTS: u32 = 3;

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn table(headers: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in headers {
        table.insert(ShortString::from(*name), value.clone());
    }
    table
}

/// A record of moves as the broker writes it, of a message that went a thousand times in circles.
fn deaths(queue: &str) -> AMQPValue {
    let death = table(&[
        ("count", AMQPValue::LongLongInt(1_000)),
        ("reason", text("rejected")),
        ("queue", text(queue)),
        ("exchange", text("")),
        ("routing-keys", AMQPValue::FieldArray(vec![text(queue)].into())),
    ]);
    AMQPValue::FieldArray(FieldArray::from(vec![AMQPValue::FieldTable(death)]))
}

/// A stranger, who writes to a queue as he likes.
struct Stranger {
    connection: Connection,
    channel: lapin::Channel,
    queue: String,
}

impl Stranger {
    async fn new(place: &Place, queue: &str) -> Self {
        let connection = Connection::connect(place.url(), ConnectionProperties::default())
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        Self {
            connection,
            channel,
            queue: queue.to_owned(),
        }
    }

    async fn writes(&self, properties: BasicProperties, body: &[u8]) {
        let (queue, options) = (self.queue.as_str().into(), BasicPublishOptions::default());
        let sent = self
            .channel
            .basic_publish("".into(), queue, options, body, properties);
        sent.await.unwrap().await.unwrap();
    }
}

fn json(id: &str) -> BasicProperties {
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_message_id(id.into())
}

/// Each is handled as any other: as often as it may be, on time, and where it came from.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c12_forged_counts_moves_addresses_and_traces_decide_nothing() {
    let node = node::shared().await;
    let (place, ledger) = (Place::new(&node), Ledger::new());
    let broker = place.connect().await;
    let (queue, other) = (place.queue("c12"), place.queue("other"));
    let subscription = |queue: &str, key: &str| {
        Subscription::<Deed>::new(queue)
            .routing_key(key)
            .queue_type(QueueType::Quorum)
            .attempts(ATTEMPTS)
            .delays([Duration::from_millis(20)])
    };
    let subscriptions = [subscription(&queue, "c12"), subscription(&other, "c12.other")];
    let app = App::start(broker.clone(), &ledger, subscriptions);
    app.wait_until_consuming().await;
    let stranger = Stranger::new(&place, &queue).await;
    let forged: [(&str, &[(&str, AMQPValue)]); 6] = [
        (
            "moves",
            &[
                ("x-death", deaths(&queue)),
                ("x-first-death-queue", text(&other)),
                ("x-first-death-reason", text("rejected")),
            ],
        ),
        (
            "deliveries",
            &[("x-delivery-count", AMQPValue::LongLongInt(1_000))],
        ),
        ("acquired", &[("x-acquired-count", AMQPValue::LongLongInt(1_000))]),
        (
            "topic",
            &[
                ("Topic", text(&other)),
                ("CC", AMQPValue::FieldArray(vec![text(&other)].into())),
                ("originalTopic", text(&other)),
                ("rejectionReason", text("DeliveryError")),
                ("rejectionAttempts", AMQPValue::LongLongInt(1_000)),
            ],
        ),
        (
            "trace",
            &[
                ("cloudEvents_traceparent", text("00-zz-\u{1b}[31m-ff")),
                ("traceparent", text(&"0".repeat(9_000))),
                ("baggage", text("a=b,\r\nc=d")),
            ],
        ),
        ("delay", &[("x-delay", AMQPValue::LongLongInt(i64::MAX))]),
    ];
    for (_, headers) in &forged {
        // Twice it fails, so that it goes through every copy that there is.
        let deed = Deed::new(What::Fail(ATTEMPTS - 1));
        let id = deed.id.to_string();
        ledger.write(Entry::Attempted, &id);
        ledger.write(Entry::Acknowledged, &id);
        let properties = json(&id)
            .with_headers(table(headers))
            .with_reply_to(other.as_str().into());
        // The default exchange knows CC too, and would give the other queue a copy that is the stranger's own doing.
        stranger
            .writes(properties, &serde_json::to_vec(&deed).unwrap())
            .await;
    }
    until_answer("handled", forged.len(), async || ledger.distinct(Entry::Handled)).await;
    until_answer("left", 0, async || node.depth(&queue).await.0).await;
    // One with a forged count has fewer attempts, which is his own loss; nor does nonsense make it immortal.
    for count in [i64::from(i32::MAX), -1] {
        let deed = Deed::new(What::Panic);
        let properties = json(&deed.id.to_string())
            .with_headers(table(&[("HandledCount", AMQPValue::LongLongInt(count))]));
        stranger
            .writes(properties, &serde_json::to_vec(&deed).unwrap())
            .await;
    }
    let aside = set_aside(&place, &format!("{queue}.dlq"), 2).await;
    assert!(
        aside
            .iter()
            .all(|(_, reason, _)| reason.contains("told to panic")),
        "{aside:?}"
    );
    app.end().await;
    let verdict = ledger.verdict();
    verdict.check("C12");
    assert_eq!(node.depth(&format!("{queue}.dlq")).await.0, 0);
    stranger.connection.close(200, "done".into()).await.unwrap();
    capture::assert_no_password();
}

/// Whatever he writes is on no line of its own, and moves no cursor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c12_no_line_of_the_log_is_a_stranger_s() {
    let node = node::shared().await;
    let (place, ledger) = (Place::new(&node), Ledger::new());
    let broker = place.connect().await;
    let queue = place.queue("c12");
    let app = App::start(
        broker.clone(),
        &ledger,
        [Subscription::<Deed>::new(queue.as_str())
            .routing_key("c12")
            .attempts(1)],
    );
    app.wait_until_consuming().await;
    let stranger = Stranger::new(&place, &queue).await;
    let forged = format!("forged by {}", place.id());
    let line = format!("\r\n{forged}\u{1b}[2J\u{7}\u{9b}31m");
    let short = || ShortString::from(line.as_str());
    let body = serde_json::to_vec(&Deed::new(What::Panic)).unwrap();
    let poisoned = [
        json("id").with_message_id(short()),
        json("content-type").with_content_type(short()),
        json("encoding").with_content_encoding(short()),
        json("correlation").with_correlation_id(short()),
        json("reply").with_reply_to(short()),
        json("type").with_type(short()),
        json("app").with_app_id(short()),
        json("header").with_headers(table(&[("tenant", text(&line))])),
        json("header-name").with_headers(table(&[(line.as_str(), text("x"))])),
        json("topic").with_headers(table(&[("Topic", text(&line))])),
        json("kind").with_headers(table(&[("MessageType", text(&line))])),
        json("event").with_headers(table(&[("cloudEvents_type", text(&line))])),
        json("subject").with_headers(table(&[("cloudEvents_subject", text(&line))])),
        json("reason").with_headers(table(&[("rejectionMessage", text(&line))])),
        json("trace").with_headers(table(&[("cloudEvents_traceparent", text(&line))])),
    ];
    let count = poisoned.len();
    for properties in poisoned {
        stranger.writes(properties, &body).await;
    }
    // In the body it is in what the mapper says of it.
    let wrong = format!(
        "{{\"id\": \"x\", \"what\": {}}}",
        serde_json::to_string(&line).unwrap()
    );
    stranger.writes(json("body"), wrong.as_bytes()).await;
    let dead = format!("{queue}.dlq");
    let invalid = format!("{queue}.invalid");
    until_answer("set aside", count + 1, async || {
        node.depth(&dead).await.0 + node.depth(&invalid).await.0
    })
    .await;
    app.end().await;
    let said = capture::lines(&[&forged]);
    assert!(!said.is_empty(), "it is told of, escaped");
    for line in said {
        assert!(!line.starts_with(&forged), "a line of his own: {line}");
        assert!(!line.chars().any(|c| c.is_control() && c != '\t'), "{line:?}");
    }
    stranger.connection.close(200, "done".into()).await.unwrap();
}
