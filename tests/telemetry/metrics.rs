//! Every metric of the table moves, and is as the table and its document say.

use std::fmt::Write;
use std::sync::OnceLock;
use std::time::Duration;

use brighter::channel::{Broker, Channel, Producer};
use brighter::message::{Message, MessageBody, MessageHeader, MessageType};
use brighter::policy::{CircuitBreaker, Policy, Retry};
use brighter::prelude::*;
use brighter::telemetry::{METRICS, Metric, MetricKind};
use brighter::{MessageId, Sweeper};
use brighter_tests::promtool;
use brighter_tests::rabbitmq::Corner;
use brighter_tests::wait::until;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

/// The recorder of this program, and what it has written.
pub(crate) fn recorder() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        PrometheusBuilder::new()
            .with_recommended_naming(true)
            .set_buckets(&[0.001, 0.01, 0.1, 1.0, 10.0])
            .unwrap()
            .install_recorder()
            .unwrap()
    })
}

/// As Prometheus calls it.
pub(crate) fn name(metric: &Metric) -> String {
    let name = metric.name.replace('.', "_");
    let name = if metric.unit == "s" {
        format!("{name}_seconds")
    } else {
        name
    };
    match metric.kind {
        MetricKind::Counter => format!("{name}_total"),
        _ => name,
    }
}

/// The value of the first series of this metric whose labels hold all of these texts.
pub(crate) fn value(metric: &str, labels: &[&str]) -> Option<f64> {
    let metric = METRICS.iter().find(|known| known.name == metric).unwrap();
    let name = match metric.kind {
        MetricKind::Histogram => format!("{}_count", name(metric)),
        _ => name(metric),
    };
    let text = recorder().render();
    let line = text.lines().find(|line| {
        let named = line
            .strip_prefix(&name)
            .is_some_and(|rest| rest.starts_with(['{', ' ']));
        named && labels.iter().all(|label| line.contains(label))
    })?;
    line.rsplit_once(' ')?.1.parse().ok()
}

async fn until_is(metric: &str, labels: &[&str], expected: f64) {
    let what = format!("{metric} of {labels:?} is {expected}");
    until(&what, || value(metric, labels) == Some(expected)).await;
}

#[derive(Debug, Clone, Serialize, Deserialize, Message)]
#[message(topic = "Measured", kind = "event")]
struct Measured(String);

struct Measures;

#[handler]
impl Handler<Measured> for Measures {
    #[use_policy(measured_breaker, step = 1)]
    #[use_policy(measured_retry, step = 2)]
    async fn handle(&self, measured: &Measured, cx: &Context) -> Result<(), BoxError> {
        match &*measured.0 {
            "fail once" if cx.attempt() == 1 => Err("not yet".into()),
            "defer once" if cx.attempt() == 1 => Err(Defer::after(Duration::ZERO).into()),
            "reject" => Err(Reject::because("no").into()),
            "invalid" => Err(Invalid::because("no").into()),
            "return" => Err(DontAck::because("later").into()),
            _ => Ok(()),
        }
    }
}

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(topic = "Measured.Call", reply = u32)]
struct MeasuredCall;

struct Answers;

#[handler]
impl Handler<MeasuredCall> for Answers {
    async fn handle(&self, _: &MeasuredCall) -> Result<u32, BoxError> {
        Ok(1)
    }
}

#[tokio::test]
async fn every_metric_of_the_pump_and_of_posting_moves() {
    recorder();
    let broker = InMemoryBroker::new();
    let breaker = CircuitBreaker::consecutive(1, Duration::from_millis(50));
    let retry = Retry::attempts(2).fixed(Duration::ZERO);
    let processor = CommandProcessor::builder()
        .handler(Measures)
        .policies(
            PolicyRegistry::default()
                .insert("measured_breaker", Policy::from(breaker))
                .insert("measured_retry", Policy::from(retry)),
        )
        .broker(broker.clone())
        .outbox(InMemoryOutbox::new())
        .sweeper(Sweeper::default().interval(Duration::from_millis(10)))
        .build()
        .unwrap();
    processor
        .post(Measured("nobody listens".into()))
        .await
        .unwrap_err();
    let unroutable = [
        "messaging_destination_name=\"Measured\"",
        "error_type=\"unroutable\"",
    ];
    until("it is counted as unroutable", || {
        value("messaging.client.sent.messages", &unroutable).is_some_and(|count| count >= 1.0)
    })
    .await;
    until_is("brighter.outbox.outstanding.messages", &[], 1.0).await;
    assert!(value("brighter.outbox.oldest.age", &[]).is_some());
    until_is("brighter.outbox.dead.messages", &[], 0.0).await;

    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(
            Subscription::<Measured>::new("measured")
                .delays([Duration::ZERO])
                .performers(2),
        )
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    let measured = [
        "brighter_subscription=\"measured\"",
        "messaging_system=\"in_memory\"",
    ];
    until_is("brighter.active.consumers", &measured, 2.0).await;
    for text in ["well", "fail once", "defer once", "reject", "invalid", "return"] {
        processor.post(Measured(text.into())).await.unwrap();
    }
    let mut header = MessageHeader::new(MessageId::new(), "Measured", MessageType::Event);
    header.timestamp -= Duration::from_secs(60);
    let nonsense = Message::new(header, MessageBody::new("no JSON"));
    broker.publish(&nonsense).await.unwrap();
    let taken = ["messaging_destination_name=\"Measured\"", "error_type=\"\""];
    until("posts are counted", || {
        value("messaging.client.sent.messages", &taken).is_some_and(|count| count >= 6.0)
    })
    .await;
    assert!(value("messaging.client.operation.duration", &taken).is_some_and(|count| count >= 6.0));
    for metric in ["retried", "deferred", "returned", "dead_lettered"] {
        let metric = format!("brighter.{metric}.messages");
        until(&metric, || {
            value(&metric, &measured).is_some_and(|count| count >= 1.0)
        })
        .await;
    }
    until_is("brighter.invalid.messages", &measured, 2.0).await;
    until("most are handled", || {
        value("brighter.handled.messages", &measured).is_some_and(|count| count >= 3.0)
    })
    .await;
    let failed = |reason| [measured[0], reason];
    for reason in [
        "error_type=\"failed\"",
        "error_type=\"reject\"",
        "error_type=\"mapping\"",
    ] {
        until(reason, || {
            value("brighter.failed.messages", &failed(reason)).is_some_and(|count| count >= 1.0)
        })
        .await;
    }
    assert!(value("messaging.process.duration", &[measured[0], "error_type=\"\""]).is_some());
    assert!(value("brighter.handler.duration", &["Measures", "error_type=\"\""]).is_some());
    assert!(value("brighter.process.lag", &measured).is_some_and(|count| count >= 7.0));
    assert!(value("brighter.policy.retries", &["measured_retry"]).is_some_and(|count| count >= 1.0));
    assert!(value("brighter.circuit_breaker.state", &["measured_breaker"]).is_some());
    dispatcher.end().await;
    until_is("brighter.active.consumers", &measured, 0.0).await;
    until_is("brighter.in_flight.messages", &measured, 0.0).await;
    processor.close().await;
    promtool::accepts(&recorder().render());
}

/// By hand, as one who answers too late.
#[tokio::test]
async fn an_unexpected_reply_is_counted_on_both_sides() {
    recorder();
    let broker = InMemoryBroker::new();
    let channel = Channel::new("measured-calls", "Measured.Call");
    let mut desk = broker.consume(&channel).await.unwrap();
    let processor = CommandProcessor::builder()
        .handler(Answers)
        .broker(broker.clone())
        .build()
        .unwrap();
    let (called, asked) = tokio::join!(
        processor.call(MeasuredCall, Duration::from_millis(50)),
        desk.receive()
    );
    called.unwrap_err();
    let delivery = asked.unwrap().unwrap();
    let request = delivery.message().unwrap().header.clone();
    delivery.ack().await.unwrap();
    drop(desk);
    let late = MessageHeader::new(MessageId::new(), request.reply_to.unwrap(), MessageType::Command);
    let late = late.with_correlation_id(request.correlation_id.unwrap());
    broker
        .publish(&Message::new(late, MessageBody::new("1")))
        .await
        .unwrap();
    let at_least_one = |reason: &'static str| {
        until(reason, move || {
            value("brighter.dropped.replies", &["in_memory", reason]).is_some_and(|count| count >= 1.0)
        })
    };
    at_least_one("nobody_waits").await;

    let dispatcher = Dispatcher::builder(processor.clone())
        .subscription(Subscription::<MeasuredCall>::new("measured-calls"))
        .build()
        .unwrap();
    dispatcher.receive();
    dispatcher.wait_until_consuming().await;
    let gone = format!("brighter.reply.{}", MessageId::new());
    let orphan = MessageHeader::new(MessageId::new(), "Measured.Call", MessageType::Command);
    let orphan = orphan.with_reply_to(gone.as_str());
    broker
        .publish(&Message::new(orphan, MessageBody::new("null")))
        .await
        .unwrap();
    at_least_one("nobody_there").await;
    dispatcher.end().await;
    processor.close().await;
}

#[tokio::test]
async fn a_connection_that_is_made_again_is_counted() {
    recorder();
    let corner = Corner::new();
    let broker = corner.connect().await;
    broker
        .consume(&corner.channel("measured", "Measured"))
        .await
        .unwrap();
    let before = value("brighter.reconnects", &["rabbitmq"]).unwrap_or_default();
    corner.close_connection("consumer").await;
    until("it is connected again", || {
        value("brighter.reconnects", &["rabbitmq"]).is_some_and(|count| count > before)
    })
    .await;
}

/// The document is written by `UPDATE=1 cargo test`.
#[test]
fn the_document_lists_every_metric() {
    let mut text = String::from(
        "# Metrics\n\nWith the feature `metrics` brighter writes these through the `metrics` facade. Install a recorder before the\nprocessor and the dispatcher are built. Units are UCUM's; `{message}` is a count. Prometheus has `_` for `.`, the unit\nand `_total` behind the name.\n\n| name | in Prometheus | kind | unit | labels | says |\n|---|---|---|---|---|---|\n",
    );
    for metric in METRICS {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let kind = format!("{:?}", metric.kind).to_lowercase();
        writeln!(
            text,
            "| `{}` | `{}` | {kind} | `{}` | {} | {} |",
            metric.name,
            name(metric),
            metric.unit,
            labels.join(", "),
            metric.help
        )
        .unwrap();
    }
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../docs/book/src/reference/metrics.md"
    );
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        text,
        "run it with UPDATE=1"
    );
}
